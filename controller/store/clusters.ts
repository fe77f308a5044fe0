import { createHmac } from 'node:crypto';
import { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import { attempt } from './failure.ts';
import { orKeep, type Sql } from './sql.ts';

/** So many digits of a token's check tell two tokens apart, and nobody finds a token by them. */
const SHOWN_DIGITS = 8;

/**
 * Finds out whose database this is, before anything in it is changed: the first controller makes it its cluster's, and
 * every other one must have the same token. Two clusters on one database would take each other's nodes for their own.
 * @param replaceToken the token was changed on purpose: this one counts from now on
 * @returns the cluster's id
 * Throws `wrong_cluster`, `store_unavailable`
 */
export async function claimCluster(sql: Sql, token: string, replaceToken = false): Promise<string> {
  return attempt(async () => {
    const made = newId();
    await sql.run(
      `INSERT INTO clusters (singleton, id, token_check, created_at) VALUES (1, ?, ?, ?) ${orKeep(sql.dialect, 'clusters', ['singleton'])}`,
      [made, checkOf(made, token), new Date()],
    );
    const id = await verifyCluster(sql, token, replaceToken);
    if (id === undefined) throw new Error('the row of the cluster has vanished');
    if (replaceToken) await sql.run('UPDATE clusters SET token_check = ? WHERE singleton = 1', [checkOf(id, token)]);
    return id;
  });
}

/** As `claimCluster`, but changes nothing: undefined for a database that is nobody's yet. */
export async function verifyCluster(sql: Sql, token: string, replaceToken = false): Promise<string | undefined> {
  const [table] = await sql.all(sql.dialect === 'mysql'
    ? "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'clusters'"
    : "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'clusters'");
  if (table === undefined) return undefined;
  const [row] = await sql.all('SELECT id, token_check FROM clusters WHERE singleton = 1');
  if (row === undefined) return undefined;
  const id = String(row['id']);
  const [recorded, own] = [String(row['token_check']), checkOf(id, token)];
  if (recorded !== own && !replaceToken) {
    throw new TrivetError('wrong_cluster', { cluster: id, itsToken: recorded.slice(0, SHOWN_DIGITS), ourToken: own.slice(0, SHOWN_DIGITS) });
  }
  return id;
}

function checkOf(id: string, token: string): string {
  return createHmac('sha256', token).update(id).digest('hex');
}
