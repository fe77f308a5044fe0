import type { CheckerFactory } from './checker.ts';
import { acknowledgedIsCurrent } from './acknowledged-is-current.ts';
import { comesToRest } from './comes-to-rest.ts';
import { currentAreEqual } from './current-are-equal.ts';
import { durableOnQuorum } from './durable-on-quorum.ts';
import { generationsRise } from './generations-rise.ts';
import { linearizable } from './linearizable.ts';
import { oneOutcome } from './one-outcome.ts';
import { repairEndsEqual } from './repair-ends-equal.ts';
import { storesAreClosed } from './stores-are-closed.ts';

export const ALL_CHECKERS: readonly CheckerFactory[] = [
  generationsRise, currentAreEqual, oneOutcome, durableOnQuorum, acknowledgedIsCurrent, repairEndsEqual, storesAreClosed, comesToRest, linearizable,
];
