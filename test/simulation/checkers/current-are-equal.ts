import type { CheckerFactory } from './checker.ts';

/** Invariant 3: replicas that SQL calls current are at the repository's generation and digest, in SQL and when they are read. */
export const currentAreEqual: CheckerFactory = (simulation, violate) => {
  /** By repository and generation. */
  const digests = new Map<string, string>();
  /** By repository and digest: the last generation that had it. */
  const latest = new Map<string, number>();
  return {
    name: 'current replicas are equal',
    sql: ({ repositories, replicas }) => {
      for (const { id, generation, refs_digest: digest } of repositories) {
        const key = `${id} ${generation}`;
        const known = digests.get(key);
        if (known === undefined) {
          digests.set(key, digest);
          latest.set(`${id} ${digest}`, generation);
        }
        if (known !== undefined && known !== digest) violate(`generation ${generation} had the digest ${known.slice(0, 8)}, and now has ${digest.slice(0, 8)}`);
        for (const replica of replicas) {
          if (replica.repository_id !== id || replica.state !== 'current') continue;
          if (replica.generation !== generation || replica.digest !== digest) {
            violate(`SQL calls ${replica.node_id} current at generation ${replica.generation}, while the repository is at ${generation}`);
          }
        }
      }
    },
    moved: (node, repository, from, { generation, digest }, how) => {
      if (from === undefined) return;
      const known = digests.get(`${repository} ${generation}`);
      if (known !== digest) violate(`${node} came by a ${how} to generation ${generation} with other refs than SQL's (${digest.slice(0, 8)}, not ${known?.slice(0, 8)})`);
    },
    read: ({ client, repository, generation, digest }) => {
      // A repair shows the refs it took over before their generation, which it takes once they are on the disk.
      if ((latest.get(`${repository} ${digest}`) ?? -1) >= generation) return;
      violate(`${client} was shown refs at generation ${generation} that SQL has never held since (${digest.slice(0, 8)})`);
    },
    atEnd: () => {
      for (const { node, replica, state } of simulation.openReplicas()) {
        const { generation, digest } = replica.position;
        const known = digests.get(`${replica.id} ${generation}`);
        if (state === 'current' && replica.promise === undefined && known !== digest) {
          violate(`${node} is current, and at generation ${generation} it has other refs than SQL's (${digest.slice(0, 8)}, not ${known?.slice(0, 8)})`);
        }
      }
    },
  };
};
