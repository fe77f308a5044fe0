import type { SimRefs } from '../disk/sim-refs.ts';
import type { CheckerFactory } from './checker.ts';

/** Most bytes of journal that may be left when nothing is outstanding: a file is changed once it is longer than set. */
const JOURNAL_SLACK = 4_000;

/**
 * Invariants 5, 6 and 7, in runs whose faults end: nothing is left behind. No promise, vote, lock or quarantine; no
 * open job; nobody in line; every replica current; every client answered; a journal no longer than it may be.
 */
export const comesToRest: CheckerFactory = (simulation, violate) => ({
  name: 'the cluster comes to rest',
  atEnd: () => {
    if (!simulation.options.liveness) return;
    const unrest = simulation.unrest();
    if (unrest !== undefined) {
      violate(`long after the last fault ${unrest}`);
      return;
    }
    for (const { node, replica } of simulation.openReplicas()) {
      const files = simulation.node(node).disk.replicas.get(replica.id)!;
      if ((replica.refs as SimRefs).pending || files.locks.size > 0) violate(`${node} has locked refs that nobody will unlock`);
      if (files.quarantines > 0) violate(`${node} keeps ${files.quarantines} quarantines that nobody needs`);
    }
    for (const node of simulation.nodes) {
      const bytes = [...node.disk.journal.values()].reduce((sum, file) => sum + file.text.length, 0);
      if (bytes > simulation.options.journalBytes + JOURNAL_SLACK) violate(`the journal of ${node.name} has grown to ${bytes} bytes`);
    }
    for (const { name, life } of simulation.controllers) {
      if (life!.turns.waiting > 0 || life!.coordinator.voting > 0) violate(`pushes wait for ever in ${name}`);
    }
  },
});
