import type { SharedTurn } from '../../../controller/transaction/turns.ts';
import type { Faults } from '../faults.ts';
import type { SimProcess } from '../parts/process.ts';
import type { Random } from '../random.ts';

interface Lock {
  held: boolean;
  waiting: (() => boolean)[];
}

/** GET_LOCK of the database server: one holder for a name, gone with the holder's connection. */
export class TurnLocks {
  readonly #locks = new Map<string, Lock>();

  /** The turns of one controller. A lock can be lost while its holder goes on, and a request for it can fail. */
  of(process: SimProcess, faults: Faults, random: Random): SharedTurn {
    return {
      acquire: async (repository, waitMs) => {
        await process.wait(random.between(0.1, 0.8));
        if (faults.strikes('turn-lost')) throw new Error('connection lost');
        const lock = this.#lock(repository);
        if (lock.held && !await this.#wait(lock, process, waitMs)) return undefined;
        lock.held = true;
        let held = true;
        const give = () => {
          if (!held) return;
          held = false;
          lock.held = false;
          while (lock.waiting.length > 0 && !lock.waiting.shift()!());
        };
        const stay = process.onDeath(give);
        // The connection breaks, and the holder doesn't notice before it gives the lock back.
        if (faults.strikes('turn-lost')) process.after(random.between(1, 20), give);
        return {
          release: async () => {
            stay();
            give();
          },
        };
      },
    };
  }

  /** @returns whether the lock is ours now */
  #wait(lock: Lock, process: SimProcess, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      let open = true;
      const cancel = process.after(waitMs, () => { open = false; resolve(false); });
      lock.waiting.push(() => {
        if (!open || !process.alive) return false;
        open = false;
        cancel();
        lock.held = true;
        resolve(true);
        return true;
      });
    });
  }

  #lock(repository: string): Lock {
    let lock = this.#locks.get(repository);
    if (lock === undefined) this.#locks.set(repository, lock = { held: false, waiting: [] });
    return lock;
  }
}
