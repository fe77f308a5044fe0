/** Looks that are farther apart than this tell nothing of the time between: it begins anew. */
const MAX_PAUSE_MS = 15_000;
/** After the controller or the database was away itself, nobody is held to have been before being looked for so long. */
const MAX_CONFIRMATION_MS = 30_000;

/**
 * Which nodes have been away for longer than a setting, by when any controller last heard of them. Since nobody writes that
 * down while the database or all controllers are down, a node counts as away only after being looked for in vain for a while
 * in this process too.
 */
export class Away {
  readonly #awayMs: number;
  readonly #confirmationMs: number;
  /** Since when each was away at every look. */
  readonly #since = new Map<string, number>();
  #lookedAt = -Infinity;

  constructor(awayMs: number) {
    this.#awayMs = awayMs;
    this.#confirmationMs = Math.min(awayMs, MAX_CONFIRMATION_MS);
  }

  /**
   * @param silentMs how long ago each node was last heard of by anybody
   * @param nowMs milliseconds that only rise
   */
  look(silentMs: ReadonlyMap<string, number>, nowMs: number): Set<string> {
    if (nowMs - this.#lookedAt > MAX_PAUSE_MS) this.#since.clear();
    this.#lookedAt = nowMs;
    for (const id of this.#since.keys()) if (!((silentMs.get(id) ?? 0) >= this.#awayMs)) this.#since.delete(id);
    for (const [id, ms] of silentMs) if (ms >= this.#awayMs && !this.#since.has(id)) this.#since.set(id, nowMs);
    return new Set([...this.#since].filter(([, since]) => nowMs - since >= this.#confirmationMs).map(([id]) => id));
  }
}
