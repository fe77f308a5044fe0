import type { MeasureName } from './config.ts';
import type { Git } from './git.ts';
import type { Target } from './targets/target.ts';

/**
 * What a target is compared as: `plain` is the yardstick, `synced` the same with `core.fsync=all`, for information,
 * `subject` what is judged.
 */
export type Role = 'plain' | 'synced' | 'subject';

export interface Contender {
  role: Role;
  target: Target;
}

/** A bound: on the ratio of the subject to the plain server, or on the subject's own value. */
export type Goal = { ratio: number } | { value: number };

/** One figure of the bench. */
export interface Row {
  measure: MeasureName;
  what: string;
  unit: 'ms' | 's' | 'pushes/s' | 'MB/s' | 'MiB' | 'pushes' | 'flips' | 'runs/s';
  better: 'lower' | 'higher';
  /** The value for each round. The figure is their median; of a peak the maximum; of a count the total. */
  rounds: Partial<Record<Role, readonly number[]>>;
  summary: 'median' | 'maximum' | 'total';
  /** Neither: for information. */
  must?: Goal;
  dream?: Goal;
  /** Lines to print below the table. */
  notes?: readonly string[];
}

/** What every measure works with. */
export interface Workshop {
  quick: boolean;
  git: Git;
  /** Ours alone, removed at the end; every measure makes its own folder in it. */
  scratch: string;
  /** Outlives the bench: for what takes long to build. */
  cache: string;
  progress(text: string): void;
}

/** What a measure that compares works with. */
export interface Bench extends Workshop {
  contenders: readonly Contender[];
}

export type Measure = (bench: Bench) => Promise<Row[]>;
