import type { Pace } from '../serve/pace.ts';
import type { RoundProgress } from './progress.ts';
import type { Source } from './source.ts';

/** One round of a repair: where it takes from, and what bounds it. */
export interface Round {
  /** What is set aside is named after it. */
  job: string;
  source: Source;
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
