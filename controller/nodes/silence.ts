import type { Clock } from '@trivet/proto/clock.ts';

/** What a node's heartbeat takes on average, times this, is what it gets at least before it counts as silent. */
const HEARTBEATS = 10;

export interface SilenceOptions {
  clock: Clock;
  /** How late a node is that is asked whether it is there; nearly all stragglers should be faster. */
  lateMs: number;
  /** How long a node may leave a heartbeat unanswered before it counts as silent. */
  silentMs: number;
  /** Asks a node for a heartbeat; settles when it answers, or when it surely doesn't. */
  ask(node: string): Promise<unknown>;
  /** What a heartbeat of this node takes on average, milliseconds. */
  heartbeatMs(node: string): number;
  /** Told whenever a node goes silent or is heard again. */
  changed(node: string, silent: boolean): void;
}

/** What those who wait for nodes need to know. */
export type Silences = Pick<Silence, 'has' | 'late'>;

/** Where every node counts as heard, and a grace always lasts its full time. */
export const NO_SILENCE: Silences = { has: () => false, late: () => () => {} };

/**
 * Tells a node that is gone without its connections breaking (a stopped process, a cut wire) from one that is slow.
 * Whoever waits for a node longer than usual has it asked for a heartbeat, which costs nothing. One that answers keeps
 * its full grace, however long its disk takes. One that doesn't is silent until it answers again: nobody waits for it
 * any more, as long as the others are enough.
 *
 *   heard --doubted--> asked --answer--> heard
 *                        `----silentMs--> silent --answer--> heard
 *
 * Silence is less than being unhealthy: a silent node is only left out where nothing fails for lack of it.
 */
export class Silence {
  readonly #options: SilenceOptions;
  readonly #asked = new Set<string>();
  readonly #silent = new Set<string>();
  readonly #watchers = new Set<() => void>();

  constructor(options: SilenceOptions) {
    this.#options = options;
  }

  has(node: string): boolean {
    return this.#silent.has(node);
  }

  /**
   * Keeps somebody company who waits for nodes that are late.
   * @param outstanding those who are still waited for
   * @param over called once, when all of them are silent
   * @returns ends it
   */
  late(outstanding: () => readonly string[], over: () => void): () => void {
    let cancel = () => {};
    const end = () => { cancel(); this.#watchers.delete(look); };
    const look = () => {
      if (!outstanding().every((node) => this.#silent.has(node))) return;
      end();
      over();
    };
    this.#watchers.add(look);
    cancel = this.#options.clock.after(this.#options.lateMs, () => outstanding().forEach((node) => this.#doubt(node)));
    // Others may have found out already.
    look();
    return end;
  }

  /** A node has said by another way that it is there. */
  heard(node: string): void {
    this.#set(node, false);
  }

  #doubt(node: string): void {
    if (this.#asked.has(node)) return;
    this.#asked.add(node);
    const { clock, silentMs, heartbeatMs } = this.#options;
    const patienceMs = Math.max(silentMs, HEARTBEATS * heartbeatMs(node));
    const cancel = clock.after(patienceMs, () => this.#set(node, true));
    void this.#options.ask(node).then(() => true, () => false).then(async (answered) => {
      cancel();
      if (!answered) this.#set(node, true);
      // Until it is heard again; a refused connection must not be tried without a pause.
      for (let there = answered; !there;) {
        await clock.sleep(silentMs);
        there = await this.#options.ask(node).then(() => true, () => false);
      }
      this.#asked.delete(node);
      this.#set(node, false);
    });
  }

  #set(node: string, silent: boolean): void {
    if (this.#silent.has(node) === silent) return;
    if (silent) this.#silent.add(node);
    else this.#silent.delete(node);
    this.#options.changed(node, silent);
    if (silent) for (const look of [...this.#watchers]) look();
  }
}
