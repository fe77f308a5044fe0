import type { Clock } from '@trivet/proto/clock.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ClusterStatus } from '../rest/cluster.ts';

/** How often those who listen are told of changes, and when they are told that there are none. */
const LOOK_MS = 1_000;
const MAX_QUIET_MS = 10_000;
/** Who listens holds a connection. */
const MAX_LISTENERS = 200;

/** What a listener is told. */
export type LiveMessage =
  | { kind: 'status'; status: ClusterStatus }
  /** The status can't be had at the moment: what was told last may be old. */
  | { kind: 'trouble'; code: string };

export interface Listener {
  tell(message: LiveMessage): void;
  /** No more comes. */
  end(): void;
}

/**
 * Tells listeners how the cluster is, at once and whenever that changes. Looks only while somebody listens, and once for
 * all of them.
 */
export class Live {
  readonly #status: () => Promise<ClusterStatus>;
  readonly #clock: Clock;
  readonly #codeOf: (error: unknown) => string;
  readonly #listeners = new Set<Listener>();
  #cancel: (() => void) | undefined;
  #told: { text: string; at: number } | undefined;
  #closed = false;

  /** @param codeOf the code of an error */
  constructor(status: () => Promise<ClusterStatus>, clock: Clock, codeOf: (error: unknown) => string) {
    this.#status = status;
    this.#clock = clock;
    this.#codeOf = codeOf;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /**
   * @returns takes the listener away
   * @throws TrivetError too_busy, shutting_down
   */
  listen(listener: Listener): () => void {
    if (this.#closed) throw new TrivetError('shutting_down');
    if (this.#listeners.size >= MAX_LISTENERS) throw new TrivetError('too_busy', { listeners: MAX_LISTENERS });
    this.#listeners.add(listener);
    void this.#ask().then((message) => { if (this.#listeners.has(listener)) listener.tell(message); });
    if (this.#listeners.size === 1) this.#plan();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#rest();
    };
  }

  /** Ends it for all who listen: they find another controller, or this one when it is back. */
  close(): void {
    this.#closed = true;
    this.#rest();
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
  }

  #plan(): void {
    this.#cancel = this.#clock.after(LOOK_MS, () => {
      void this.#look().finally(() => { if (this.#listeners.size > 0) this.#plan(); });
    });
  }

  #rest(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#told = undefined;
  }

  async #look(): Promise<void> {
    const message = await this.#ask();
    const now = this.#clock.elapsed();
    const text = textOf(message);
    if (this.#told !== undefined && this.#told.text === text && now - this.#told.at < MAX_QUIET_MS) return;
    this.#told = { text, at: now };
    for (const listener of this.#listeners) listener.tell(message);
  }

  async #ask(): Promise<LiveMessage> {
    try {
      return { kind: 'status', status: await this.#status() };
    } catch (error) {
      return { kind: 'trouble', code: this.#codeOf(error) };
    }
  }
}

/** What has to differ for a message to be news: not the time at which it was made. */
function textOf(message: LiveMessage): string {
  return JSON.stringify(message, (key, value: unknown) => (key === 'at' ? undefined : value));
}
