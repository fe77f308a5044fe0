import type { Clock } from '@trivet/proto/clock.ts';

/** For how long after a gate was opened those who come may still know the repository as it was before. */
const STALE_MS = 60_000;

/** Somebody who is inside a repository's gate. */
export interface Inside {
  /** Whether what they read of the repository before they came may be older than what the gate was closed for. */
  stale: boolean;
  /** Once, however it ends. */
  leave(): void;
}

interface Gate {
  inside: number;
  /** How many want the repository for themselves. */
  closedBy: number;
  /** Told when the last one has left. */
  emptied: (() => void)[];
  /** Told when the gate is open again. */
  opened: (() => void)[];
}

/**
 * A gate in front of each repository, which pushes go through before they vote. A replica that is admitted while pushes
 * that voted without it are under way is outdated again by the first of them, and where pushes never cease, so is every
 * later admission. So a repair's last round closes the gate: pushes that are inside end first, those that come wait, and
 * vote with the replica when it is current.
 *
 * Like turns this is for progress only, and holds for the pushes of this controller. One admission too early does no
 * harm but that of another repair.
 */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #clock: Clock;
  readonly #drainMs: number;
  /** When any gate was opened last. */
  #openedAt = -Infinity;

  /** @param drainMs how long those inside are waited for: a push of gigabytes must not keep all others waiting */
  constructor(clock: Clock, drainMs: number) {
    this.#clock = clock;
    this.#drainMs = drainMs;
  }

  /** Goes in, as soon as nobody wants the repository for themselves. */
  async enter(repository: string): Promise<Inside> {
    for (let gate = this.#gates.get(repository); gate !== undefined && gate.closedBy > 0; gate = this.#gates.get(repository)) {
      const { opened } = gate;
      await new Promise<void>((resolve) => { opened.push(resolve); });
    }
    const gate = this.#gate(repository);
    gate.inside += 1;
    return {
      stale: this.#clock.elapsed() - this.#openedAt < STALE_MS,
      leave: () => {
        gate.inside -= 1;
        if (gate.inside === 0) for (const tell of gate.emptied.splice(0)) tell();
        this.#tidy(repository, gate);
      },
    };
  }

  /** Runs something with the gate closed, after those inside have left or `drainMs` are over. */
  async closed<R>(repository: string, action: () => Promise<R>): Promise<R> {
    const gate = this.#gate(repository);
    gate.closedBy += 1;
    try {
      if (gate.inside > 0) await this.#drained(gate);
      return await action();
    } finally {
      gate.closedBy -= 1;
      if (gate.closedBy === 0) {
        this.#openedAt = this.#clock.elapsed();
        for (const tell of gate.opened.splice(0)) tell();
      }
      this.#tidy(repository, gate);
    }
  }

  #drained(gate: Gate): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(this.#drainMs, () => {
        gate.emptied.splice(gate.emptied.indexOf(tell), 1);
        resolve();
      });
      const tell = () => { cancel(); resolve(); };
      gate.emptied.push(tell);
    });
  }

  #gate(repository: string): Gate {
    let gate = this.#gates.get(repository);
    if (gate === undefined) {
      gate = { inside: 0, closedBy: 0, emptied: [], opened: [] };
      this.#gates.set(repository, gate);
    }
    return gate;
  }

  #tidy(repository: string, gate: Gate): void {
    if (gate.inside === 0 && gate.closedBy === 0) this.#gates.delete(repository);
  }
}
