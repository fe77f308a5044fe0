import type { Oid } from '@trivet/proto/object-format.ts';
import type { Pace } from '../serve/pace.ts';
import type { RoundProgress } from './progress.ts';
import type { Source } from './source.ts';

/** What the rounds of a job learn for those after them. Forgotten with the process: then the next round does more again. */
export class JobMemory {
  /** Packs here whose every byte was checked. */
  readonly sound = new Set<string>();
  /** Objects from which everything that is reachable was proved to be here, though no ref names them yet. */
  proven = new Set<Oid>();
  /** Packs of the source that have nothing which is needed and not here, whatever the packs here are called. */
  covered = new Set<string>();
  /** Packs of the source that an earlier round has seen there. */
  seen: ReadonlySet<string> = new Set();

  /** Objects may have gone. */
  doubt(): void {
    this.proven = new Set();
    this.covered = new Set();
    this.seen = new Set();
  }
}

/** One round of a repair: where it takes from, and what bounds it. */
export interface Round {
  /** What is set aside is named after it. */
  job: string;
  source: Source;
  memory: JobMemory;
  /** Shared by everything this round brings; undefined when nobody set a limit. */
  pace: Pace | undefined;
  progress: RoundProgress;
  signal: AbortSignal;
  /** Brings everything written to this node's file system to the disk. */
  flush: () => Promise<void>;
}

/** What a round brought. */
export interface Brought {
  objects: number;
  bytes: number;
}

export const NOTHING: Brought = { objects: 0, bytes: 0 };
