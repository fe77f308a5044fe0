import type { Argument, Statements } from './sql.ts';

/**
 * Resolves what is open of a repository's findings; in the SQL transaction that puts right, or takes away, what they are about.
 * @param only.node those on this node
 * @param only.kind those of this kind
 */
export async function resolveFindings(statements: Statements, repository: string, now: Date, only: { node?: string; kind?: 'unknown' } = {}): Promise<void> {
  const conditions: [sql: string, value: Argument][] = [['repository_id = ?', repository]];
  if (only.node !== undefined) conditions.push(['node_id = ?', only.node]);
  if (only.kind !== undefined) conditions.push(['kind = ?', only.kind]);
  await statements.run(
    `UPDATE findings SET resolved_at = ?, open = NULL WHERE ${conditions.map(([sql]) => sql).join(' AND ')} AND open = 1`,
    [now, ...conditions.map(([, value]) => value)],
  );
}
