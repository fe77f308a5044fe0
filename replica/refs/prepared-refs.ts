import { asDiskFailure } from './disk-failure.ts';
import type { Staged } from './stage.ts';

/** A change whose locks are held and whose values lie beside the old ones. */
export interface PreparedRefs {
  /** The refs digest after the commit. */
  readonly digestAfter: string;
  /**
   * Makes the change visible. Doing it again does nothing; after a failure, it goes on where it failed.
   * @throws TrivetError `disk_failure`; Error after an abort
   */
  commit(): Promise<void>;
  /**
   * Undoes everything. Doing it again, or after the commit, does nothing.
   * @throws TrivetError `disk_failure`; Error when a commit failed half-way, which only a commit can mend
   */
  abort(): Promise<void>;
}

/**
 * prepared → committing → committed, or prepared → aborting → aborted. `committing` and `aborting` are left within the same
 * turn of the event loop unless the disk fails: then some refs are moved, or some locks gone, and nothing but the same call
 * once more (or the journal's replay after a restart) leads out. What is *abandoned* then, the store ends itself.
 */
export class StagedRefs implements PreparedRefs {
  readonly digestAfter: string;
  readonly #staged: Staged;
  readonly #onEnd: (committed: boolean) => void;
  /** Steps of the commit that are done and must not be done again. */
  #done = 0;
  #state: 'prepared' | 'committing' | 'committed' | 'aborting' | 'aborted' = 'prepared';
  #abandoned = false;

  /** @param onEnd called once, when the outcome is on the disk */
  constructor(digestAfter: string, staged: Staged, onEnd: (committed: boolean) => void) {
    this.digestAfter = digestAfter;
    this.#staged = staged;
    this.#onEnd = onEnd;
  }

  /** Whether nobody has to be waited for to end this. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** Whether it is being undone, or was. */
  get undone(): boolean {
    return this.#state === 'aborting' || this.#state === 'aborted';
  }

  /** Says that its holder won't come back after a failure. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** Goes on with what failed. Throws as `commit` and `abort`. */
  end(): Promise<void> {
    return this.#state === 'committing' ? this.commit() : this.abort();
  }

  async commit(): Promise<void> {
    if (this.#state === 'committed') return;
    if (this.#state === 'aborted' || this.#state === 'aborting') throw new Error('these refs were aborted and can not be committed');
    this.#state = 'committing';
    this.#runCommit();
    this.#state = 'committed';
    this.#onEnd(true);
  }

  async abort(): Promise<void> {
    if (this.#state === 'committed' || this.#state === 'aborted') return;
    if (this.#state === 'committing') throw new Error('a commit of these refs is half done and can not be aborted');
    this.#state = 'aborting';
    // Whoever aborts has nothing more to do with it: should this fail, nobody else has to wait until he tries again.
    this.#abandoned = true;
    undo(this.#staged);
    this.#state = 'aborted';
    this.#onEnd(false);
  }

  #runCommit(): void {
    try {
      for (const steps = this.#staged.commit; this.#done < steps.length; this.#done++) steps[this.#done]!();
    } catch (error) {
      throw asDiskFailure(error);
    }
  }
}

/** Takes back what staging did, the last first; after a failure, the next call goes on there. Throws `disk_failure`. */
function undo({ undo: steps }: Staged): void {
  try {
    for (let step = steps.at(-1); step !== undefined; step = steps.at(-1)) {
      step();
      steps.pop();
    }
  } catch (error) {
    throw asDiskFailure(error);
  }
}
