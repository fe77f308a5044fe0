import type { CheckerFactory } from './checker.ts';

/** Invariant 4: generations only rise, SQL's and those of each replica. Only an old disk takes a replica back. */
export const generationsRise: CheckerFactory = (_simulation, violate) => {
  const inSql = new Map<string, number>();
  const onNodes = new Map<string, number>();
  return {
    name: 'generations only rise',
    sql: ({ repositories }) => {
      for (const { id, generation } of repositories) {
        const before = inSql.get(id) ?? 0;
        if (generation < before) violate(`SQL's generation fell from ${before} to ${generation}`);
        inSql.set(id, generation);
      }
    },
    moved: (node, repository, _from, { generation }, how) => {
      const key = `${node} ${repository}`;
      const before = onNodes.get(key) ?? 0;
      if (generation < before) violate(`${node} fell from generation ${before} to ${generation} (${how})`);
      onNodes.set(key, generation);
    },
    rolledBack: (node) => {
      for (const key of onNodes.keys()) if (key.startsWith(`${node} `)) onNodes.delete(key);
    },
  };
};
