import type { RepairProgress } from '@trivet/proto/messages.ts';

/** How far a round is. Whoever does the work counts; whoever asks takes a copy. */
export class RoundProgress {
  readonly #job: string;
  objects = 0;
  totalObjects: number | null = null;
  bytes = 0;
  totalBytes: number | null = null;

  constructor(job: string) {
    this.#job = job;
  }

  get now(): RepairProgress {
    const { objects, totalObjects, bytes, totalBytes } = this;
    return { job: this.#job, objects, totalObjects, bytes, totalBytes };
  }

  /** Takes note of a line that `git fetch --progress` writes. */
  git(line: string): void {
    const match = /Receiving objects:\s+\d+% \((\d+)\/(\d+)\)(?:, ([\d.]+) (bytes|KiB|MiB|GiB))?/.exec(line);
    if (match === null) return;
    this.objects = Number(match[1]);
    this.totalObjects = Number(match[2]);
    if (match[3] !== undefined) this.bytes = Math.round(Number(match[3]) * UNITS[match[4]!]!);
  }
}

const UNITS: Readonly<Record<string, number>> = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
