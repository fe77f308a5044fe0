import type { Database } from '../../controller/store/database.ts';

export const NODES = 30;

/** The name of repository `i`. */
export function nameOf(i: number): string {
  return `organisation-${i % 100}/repository-${i}`;
}

/**
 * Repositories with three replicas each, spread over the nodes, of which one in a hundred isn't current; and for each a
 * decision. MariaDB makes the rows itself.
 */
export async function fillRows(db: Database, repositories: number): Promise<void> {
  const id = (letter: string) => `LPAD(CONCAT('${letter}', HEX(seq)), 32, '0')`;
  const all = `FROM seq_1_to_${repositories}`;
  const node = (offset: number) => `CONCAT('node', LPAD((seq * 7 + ${offset}) % ${NODES} + 1, 2, '0'))`;
  const statements = [
    `INSERT INTO nodes (id, url, boot, state, seen_at) SELECT CONCAT('node', LPAD(seq, 2, '0')), CONCAT('http://node', seq, ':8082'), REPEAT('0', 32), 'active', NOW(3) FROM seq_1_to_${NODES}`,
    `INSERT INTO repositories (id, name, object_format, default_branch, replication_factor, generation, refs_digest, deny_non_fast_forwards, deny_deletes, created_at)
     SELECT ${id('a')}, CONCAT('organisation-', seq % 100, '/repository-', seq), 'sha1', 'refs/heads/main', 3, 7, SHA2(seq, 256), 0, 0, NOW(3) ${all}`,
    ...[0, 1, 2].map((offset) => `INSERT INTO replicas (repository_id, node_id, state, generation, digest, changed_at)
     SELECT ${id('a')}, ${node(offset)}, ${offset === 0 ? "IF(seq % 33 = 0, 'outdated', 'current')" : "'current'"}, 7, SHA2(seq, 256), NOW(3) ${all}`),
    `INSERT INTO transactions (id, batch, repository_id, outcome, generation, digest, decided_by, decided_at)
     SELECT ${id('b')}, ${id('b')}, ${id('a')}, 'commit', 7, SHA2(seq, 256), 'c1', NOW(3) - INTERVAL seq SECOND ${all}`,
  ];
  for (const statement of statements) await db.sql.transaction((within) => within.run(statement));
  for (const table of ['repositories', 'replicas', 'transactions']) await db.sql.all(`ANALYZE TABLE ${table}`);
}
