import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const STEP_MS = 20;

/**
 * A process's name in a report: the program, then its first two words without git's own options before the subcommand;
 * of a path its last two parts (`controller/main.ts`).
 */
export function shortCommand(words: readonly string[]): string {
  const [program = '', ...rest] = words;
  while (/^(-c|-C|--git-dir.*|--bare|--no-.*)$/.test(rest[0] ?? '')) rest.splice(0, /^-[cC]$/.test(rest[0]!) ? 2 : 1);
  const shorten = (word: string, parts: number) => (
    word.startsWith('/') ? word.split('/').slice(-parts).join('/') : word
  );
  return [shorten(program, 1), ...rest.slice(0, 2).map((word) => shorten(word, 2))].join(' ');
}

/** The most memory a process has held since the sampling began. */
export interface PeakMemory {
  pid: number;
  command: string;
  /** Resident set size, pages of mapped files included: VmHWM of proc_pid_status(5). */
  peakBytes: number;
}

/**
 * Watches the memory of processes and of everything they start, every 20 ms. The kernel keeps each process's high-water
 * mark itself, so only what a process gains in its last 20 ms can be missed.
 */
export class MemorySampler {
  readonly #roots: readonly number[];
  readonly #seen = new Map<number, PeakMemory>();
  readonly #gone = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(roots: readonly number[]) {
    this.#roots = roots;
  }

  /** Begins, from each process's present size on. */
  start(): void {
    for (const pid of this.#descendants()) resetHighWaterMark(pid);
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), STEP_MS);
  }

  /** Ends. @returns every process seen, the largest first */
  stop(): PeakMemory[] {
    clearInterval(this.#timer);
    this.#sample();
    return [...this.#seen.values()].sort((a, b) => b.peakBytes - a.peakBytes);
  }

  #sample(): void {
    // Whoever was seen once is watched to its end, also when its parent has gone and init adopted it.
    const alive = new Set(this.#descendants());
    for (const pid of this.#seen.keys()) if (!this.#gone.has(pid)) alive.add(pid);
    for (const pid of alive) {
      const status = readText(`/proc/${pid}/status`);
      const peakKb = /^VmHWM:\s+(\d+) kB/m.exec(status ?? '')?.[1];
      if (peakKb === undefined) {
        this.#gone.add(pid);
        continue;
      }
      const known = this.#seen.get(pid);
      // A process on its way out has neither memory nor a command line any more.
      const command = commandLine(pid) ?? known?.command;
      if (command === undefined) continue;
      this.#seen.set(pid, { pid, command, peakBytes: Math.max(Number(peakKb) * 1024, known?.peakBytes ?? 0) });
    }
  }

  #descendants(): number[] {
    const found = [...this.#roots];
    for (const pid of found) {
      for (const child of childrenOf(pid)) if (!found.includes(child)) found.push(child);
    }
    return found;
  }
}

function commandLine(pid: number): string | undefined {
  const words = readText(`/proc/${pid}/cmdline`)?.split('\0').filter((word) => word !== '');
  return words === undefined || words.length === 0 ? undefined : shortCommand(words);
}

/** Children of every thread of a process: a program may fork from any of them. */
function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads.flatMap((thread) => {
    const text = readText(`/proc/${pid}/task/${thread}/children`) ?? '';
    return text.split(' ').filter((word) => word !== '').map(Number);
  });
}

function resetHighWaterMark(pid: number): void {
  try {
    // proc_pid_clear_refs(5): 5 sets VmHWM to the present resident set size.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Not permitted or gone: the mark then includes what came before, which is never less.
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
