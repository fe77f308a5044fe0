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
 * prepared → committing → committed, or prepared → aborted. `committing` is left within the same turn of the event
 * loop unless the disk fails: then some refs are moved, and nothing but another commit (or the journal's replay after
 * a restart) leads out.
 */
export class StagedRefs implements PreparedRefs {
  readonly digestAfter: string;
  readonly #staged: Staged;
  readonly #onEnd: (committed: boolean) => void;
  /** Steps of the commit that are done and must not be done again. */
  #done = 0;
  #state: 'prepared' | 'committing' | 'committed' | 'aborted' = 'prepared';

  /** @param onEnd called once, when the outcome is on the disk */
  constructor(digestAfter: string, staged: Staged, onEnd: (committed: boolean) => void) {
    this.digestAfter = digestAfter;
    this.#staged = staged;
    this.#onEnd = onEnd;
  }

  async commit(): Promise<void> {
    if (this.#state === 'committed') return;
    if (this.#state === 'aborted') throw new Error('these refs were aborted and can not be committed');
    this.#state = 'committing';
    this.#runCommit();
    this.#state = 'committed';
    this.#onEnd(true);
  }

  async abort(): Promise<void> {
    if (this.#state === 'committed' || this.#state === 'aborted') return;
    if (this.#state === 'committing') throw new Error('a commit of these refs is half done and can not be aborted');
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
export function undo({ undo: steps }: Staged): void {
  try {
    for (let step = steps.at(-1); step !== undefined; step = steps.at(-1)) {
      step();
      steps.pop();
    }
  } catch (error) {
    throw asDiskFailure(error);
  }
}
