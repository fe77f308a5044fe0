/**
 * What has to be undone when the bench ends, however it ends. Closers run in the reverse of the order in which they
 * were added, each exactly once, also when an earlier one failed.
 */
export class Cleanup {
  readonly #closers: (() => Promise<void> | void)[] = [];
  #running: Promise<void> | undefined;

  add(closer: () => Promise<void> | void): void {
    this.#closers.push(closer);
  }

  /** Whether the end has begun: whoever starts a process asks first. */
  get begun(): boolean {
    return this.#running !== undefined;
  }

  /** Runs every closer. A second call waits for the first. Throws AggregateError when any closer failed. */
  run(): Promise<void> {
    this.#running ??= this.#close();
    return this.#running;
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    for (let closer = this.#closers.pop(); closer !== undefined; closer = this.#closers.pop()) {
      try {
        await closer();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'not everything could be cleaned up');
  }
}
