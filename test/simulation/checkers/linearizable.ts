import { checkLinearizable, type Operation } from '../linearizability.ts';
import { HEAD } from '../founding.ts';
import type { CheckerFactory } from './checker.ts';

/** Invariant 1, the half about reads: pushes and reads through all controllers, in one order that explains them all. */
export const linearizable: CheckerFactory = (simulation, violate) => ({
  name: 'pushes and reads are linearizable',
  atEnd: () => {
    for (const repository of simulation.repositories) {
      const operations: Operation[] = [];
      for (const read of simulation.history.reads) {
        if (read.repository === repository) operations.push({ kind: 'read', from: read.sentAt, to: read.answeredAt, digest: read.digest, what: `${read.operation} reads generation ${read.generation}` });
      }
      for (const { outcome, ...push } of simulation.history.pushes) {
        // What surely failed has no place in the order; if it took effect after all, no read of it can be explained.
        if (push.repository !== repository || outcome.kind === 'failed') continue;
        const verdicts = outcome.kind === 'answered' ? outcome.verdicts : undefined;
        if (verdicts !== undefined && verdicts.includes('unpacker error')) continue;
        operations.push({ kind: 'push', from: push.sentAt, to: push.answeredAt, commands: push.commands, atomic: push.atomic, verdicts, what: `${push.operation} pushes` });
      }
      const { result, ...why } = checkLinearizable(operations, HEAD);
      if (result === 'impossible') violate(`no order explains what clients of ${repository} saw; the longest that explains some: ${(why as { longest: string[] }).longest.join('; ')}`);
      if (result === 'undecided') violate(`the search for an order of ${operations.length} operations took too long`);
    }
  },
});
