import type { Cleanup } from '../cleanup.ts';
import type { Row, Workshop } from '../measure.ts';

/** What a measure of reliability works with: it starts, breaks and ends clusters of its own. */
export interface ReliabilityBench extends Workshop {
  /** `sqlite` or a `mysql://` URL, for measures that don't say otherwise. */
  store: string;
  /** The environment of clusters. */
  environment: NodeJS.ProcessEnv;
  /** What must end with the bench, however that ends. */
  cleanup: Cleanup;
}

export type ReliabilityMeasure = (bench: ReliabilityBench) => Promise<Row[]>;
