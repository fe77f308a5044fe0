import type { CheckerFactory } from './checker.ts';

/** Invariant 3, the half about objects: all that the refs of a current replica reach is in its store. */
export const storesAreClosed: CheckerFactory = (simulation, violate) => ({
  name: 'refs lead to objects',
  atEnd: () => {
    for (const { node, replica, state } of simulation.openReplicas()) {
      if (state !== 'current') continue;
      const store = simulation.node(node).disk.replicas.get(replica.id)!.objects;
      for (const [ref, oid] of replica.refs.entries()) {
        const missing = simulation.objects.missing(oid, store);
        if (missing !== undefined) violate(`${ref} of ${node} leads to an object that isn't there`);
      }
    }
  },
});
