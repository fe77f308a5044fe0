/** What a look at a store says, by file names and sizes alone. */
export interface Facts {
  packs: number;
  /** Objects outside packs, or packs that git doesn't see. */
  loose: boolean;
  /** In packs that the multi-pack index covers, and in others; about. */
  coveredObjects: number;
  uncoveredObjects: number;
  uncoveredPacks: number;
  /** Whether there is a multi-pack index with bitmaps, and how old it is. */
  bitmap: boolean;
  indexAgeMs: number;
  /** Packs that an earlier maintenance has replaced and not taken away yet. */
  retired: boolean;
}

export interface DueLimits {
  /** So many packs are combined. */
  packs: number;
  /** With so many, it is done even where other replicas can't stand in meanwhile. */
  urgentPacks: number;
}

/** Why a replica needs work. `asked`: an operator wants it. */
export const REASONS = ['packs', 'loose', 'index', 'retired', 'asked'] as const;
export type Reason = (typeof REASONS)[number];

export interface Due {
  reason: Reason;
  urgent: boolean;
}

/** So few objects git counts in a moment, without bitmaps. */
const FEW_OBJECTS = 1_000;
/** Bitmaps are made anew when so many more objects have come, in shares of those that they know of. */
const UNCOVERED_SHARE = 0.25;
/** And when they are so old and anything has come. */
const MAX_INDEX_AGE_MS = 86_400_000;

/** Whether a store needs work, and why. */
export function dueFor(facts: Facts, limits: DueLimits): Due | undefined {
  if (facts.packs >= limits.packs) return { reason: 'packs', urgent: facts.packs >= limits.urgentPacks };
  if (facts.loose) return { reason: 'loose', urgent: false };
  if (wantsIndex(facts)) return { reason: 'index', urgent: false };
  if (facts.retired) return { reason: 'retired', urgent: false };
  return undefined;
}

/** Whether the multi-pack index and its bitmaps know of too few objects. */
export function wantsIndex({ bitmap, coveredObjects, indexAgeMs, uncoveredObjects, uncoveredPacks }: Facts): boolean {
  if (uncoveredObjects >= Math.max(FEW_OBJECTS, UNCOVERED_SHARE * coveredObjects)) return true;
  if (!bitmap) return false;
  return uncoveredPacks > 0 && indexAgeMs >= MAX_INDEX_AGE_MS;
}
