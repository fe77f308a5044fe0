import { TrivetError } from '@trivet/proto/errors.ts';
import type { Faults } from './faults.ts';
import type { SimProcess } from './parts/process.ts';
import type { Random } from './random.ts';
import type { Schedule } from './schedule.ts';

/** A cut from one machine to another, in this direction only. */
interface Cut {
  from: string;
  to: string;
}

export interface Call<S, T> {
  from: SimProcess;
  /** The machine that is asked. */
  to: string;
  what: string;
  /** Who answers there at the moment the request arrives; undefined when nobody listens. */
  server(): S | undefined;
  serve(server: S, signal: AbortSignal): Promise<T>;
  processOf(server: S): SimProcess;
  deadlineMs: number;
  signal?: AbortSignal;
  /** Never sent twice: no client repeats a push by itself. */
  once?: boolean;
}

/** How long the kernel's "nobody listens" or "connection closed" is away. */
const RESET_MS = 1;
const NO_SIGNAL = new AbortController().signal;

/**
 * The network between machines. A request can be lost, come late, overtake another, or come twice; so can an answer be
 * lost or late. A cut swallows what crosses it. Whoever asks hears of a dead process as a closed connection, and of
 * everything else only that no answer came within the deadline.
 */
export class Network {
  readonly #schedule: Schedule;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #cuts = new Set<Cut>();
  readonly #trace: ((who: string, text: string) => void) | undefined;

  constructor(schedule: Schedule, faults: Faults, random: Random, trace: ((who: string, text: string) => void) | undefined) {
    this.#schedule = schedule;
    this.#faults = faults;
    this.#random = random;
    this.#trace = trace;
  }

  /** @returns what mends the cut again */
  cut(from: string, to: string): () => void {
    const cut = { from, to };
    this.#cuts.add(cut);
    return () => { this.#cuts.delete(cut); };
  }

  passes(from: string, to: string): boolean {
    for (const cut of this.#cuts) if (cut.from === from && cut.to === to) return false;
    return true;
  }

  /** Something that happens whoever is alive by then. */
  later(ms: number, callback: () => void): void {
    this.#schedule.after(ms, callback);
  }

  /** How long a message takes. */
  latencyMs(): number {
    return this.#faults.strikes('late') ? this.#random.between(5, 200) : this.#random.between(0.1, 1.5);
  }

  /** @throws TrivetError what the other side said, node_unreachable, phase_timeout, or the reason of `signal` */
  call<S, T>(call: Call<S, T>): Promise<T> {
    const { from, to } = call;
    return new Promise<T>((resolve, reject) => {
      let open = true;
      let hangUp: (() => void) | undefined;
      const end = (then: () => void) => {
        if (!open || !from.alive) return;
        open = false;
        cancel();
        call.signal?.removeEventListener('abort', leave);
        then();
      };
      const cancel = from.after(call.deadlineMs, () => end(() => {
        this.#trace?.(from.name, `hears nothing from ${to} about ${call.what} within ${call.deadlineMs} ms`);
        hangUp?.();
        reject(new TrivetError('phase_timeout', { node: to }));
      }));
      const leave = () => end(() => {
        hangUp?.();
        reject(call.signal!.reason as Error);
      });
      if (call.signal?.aborted) {
        leave();
        return;
      }
      call.signal?.addEventListener('abort', leave, { once: true });
      const unreachable = () => this.#schedule.after(RESET_MS, () => end(() => {
        reject(new TrivetError('node_unreachable', { node: to }));
      }), from);
      const deliver = (first: boolean) => {
        const server = call.server();
        if (server === undefined) {
          if (first) unreachable();
          return;
        }
        const process = call.processOf(server);
        this.#schedule.actAs(process);
        const caller = call.signal === undefined ? undefined : new AbortController();
        if (first && caller !== undefined) {
          hangUp = () => { this.#schedule.after(this.latencyMs(), () => caller.abort(new TrivetError('aborted')), process); };
        }
        // The end of a process closes its connections; the end of a machine doesn't, but looks no different from a cut.
        const stay = first && !this.#faults.strikes('reset') ? process.onDeath(unreachable) : undefined;
        void call.serve(server, caller?.signal ?? NO_SIGNAL).then(
          (answer) => ({ answer }), (error: unknown) => ({ error: overTheWire(error) }),
        ).then((said) => {
          stay?.();
          if (!first || !process.alive) return;
          if (this.#isLost(to, from.name)) {
            this.#trace?.(to, `the answer about ${call.what} to ${from.name} is lost`);
            return;
          }
          hangUp = undefined;
          this.#schedule.after(this.latencyMs(), () => end(() => {
            if ('error' in said) reject(said.error);
            else resolve(said.answer);
          }), from);
        });
      };
      if (this.#isLost(from.name, to)) this.#trace?.(from.name, `${call.what} to ${to} is lost`);
      else this.#schedule.after(this.latencyMs(), () => deliver(true));
      if (call.once !== true && this.#faults.strikes('doubled')) {
        this.#trace?.(from.name, `${call.what} to ${to} is sent twice`);
        this.#schedule.after(this.#random.between(0.1, 180), () => deliver(false));
      }
    });
  }

  #isLost(from: string, to: string): boolean {
    return this.#faults.strikes('lost') || !this.passes(machineOf(from), machineOf(to));
  }
}

/** Where a process runs: `c1`, for the process `c1/3`. */
export function machineOf(process: string): string {
  const at = process.indexOf('/');
  return at < 0 ? process : process.slice(0, at);
}

/** An error as the other side gets it: code and fields, no stack. */
function overTheWire(error: unknown): TrivetError {
  if (error instanceof TrivetError) return new TrivetError(error.code, error.fields);
  return new TrivetError('internal', { problem: (error as Error).message });
}
