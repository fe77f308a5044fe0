import { TrivetError } from '@trivet/proto/errors.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import type { Node, NodeState, ReplicaState } from './rows.ts';
import { placeholders, toDate } from './sql.ts';

/** A node that registers. */
export interface NewNode { id: string; url: string; boot: string; zone?: string; version?: string; gitVersion?: string }

/** What a heartbeat says that is kept. */
export interface NodeFacts { id: string; diskTotalBytes: number; diskFreeBytes: number; loadAverage: number; clockSkewMs: number | null }

/** A node that any controller has heard of within this time is alive, whatever another one sees. */
export const HEARD_WITHIN_MS = 10_000;

/** The replica servers that have ever registered. */
export class Nodes {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Records that a node is there, under this URL, since this boot. A new one is active; others stay what they were. */
  async register(node: NewNode): Promise<void> {
    const { id, url, boot, zone = '', version = '', gitVersion = '' } = node;
    const now = new Date();
    const conflict = this.#db.dialect === 'mysql' ? 'ON DUPLICATE KEY UPDATE' : 'ON CONFLICT (id) DO UPDATE SET';
    await attempt(() => this.#db.sql.run(
      `INSERT INTO nodes (id, url, boot, zone, version, git_version, state, seen_at, joined_at, state_changed_at)
       VALUES (?, ?, ?, ?, ?, ?, 'active', ?, ?, ?)
       ${conflict} url = ?, boot = ?, zone = ?, version = ?, git_version = ?, seen_at = ?`,
      [id, url, boot, zone, version, gitVersion, now, now, now, url, boot, zone, version, gitVersion, now],
    ));
  }

  async get(id: string): Promise<Node | undefined> {
    const row = await attempt(() => this.#db.prisma.node.findUnique({ where: { id } }));
    return row === null ? undefined : toNode(row);
  }

  /** Writes down what heartbeats said. */
  async describe(facts: readonly NodeFacts[]): Promise<void> {
    for (const { id, diskTotalBytes, diskFreeBytes, loadAverage, clockSkewMs } of facts) {
      await attempt(() => this.#db.sql.run(
        'UPDATE nodes SET disk_total_bytes = ?, disk_free_bytes = ?, load_average = ?, clock_skew_ms = ? WHERE id = ?',
        [diskTotalBytes, diskFreeBytes, loadAverage, clockSkewMs === null ? null : Math.max(-MAX_INT, Math.min(MAX_INT, clockSkewMs)), id],
      ));
    }
  }

  /** How long ago any controller last heard of each node, milliseconds; of one that nobody ever heard of, since it joined. */
  async silentMs(): Promise<Map<string, number>> {
    return attempt(async () => {
      const now = (await this.#db.now()).getTime();
      const rows = await this.#db.sql.all('SELECT id, COALESCE(heard_at, joined_at, seen_at) AS heard FROM nodes');
      return new Map(rows.map((row) => [String(row['id']), now - toDate(row['heard']).getTime()]));
    });
  }

  /** How many replicas each node has, by their states. */
  async replicaCounts(): Promise<Map<string, Partial<Record<ReplicaState, number>>>> {
    const rows = await attempt(() => this.#db.sql.all('SELECT node_id, state, COUNT(*) AS count FROM replicas GROUP BY node_id, state'));
    const counts = new Map<string, Partial<Record<ReplicaState, number>>>();
    for (const row of rows) {
      const node = String(row['node_id']);
      counts.set(node, { ...counts.get(node), [row['state'] as ReplicaState]: Number(row['count']) });
    }
    return counts;
  }

  /** Whether this boot of a node is the last one that registered. */
  async isAtBoot(id: string, boot: string): Promise<boolean> {
    return attempt(async () => (await this.#db.sql.all('SELECT 1 FROM nodes WHERE id = ? AND boot = ?', [id, boot])).length > 0);
  }

  /** Records that nodes were heard of by this controller just now. */
  async heard(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await attempt(async () => {
      await this.#db.sql.run(`UPDATE nodes SET heard_at = ? WHERE id IN (${placeholders(ids.length)})`, [await this.#db.now(), ...ids]);
    });
  }

  /** Which of these nodes any controller has heard of within the last so many milliseconds. */
  async heardLately(ids: readonly string[], withinMs: number): Promise<string[]> {
    if (ids.length === 0) return [];
    return attempt(async () => {
      const since = new Date((await this.#db.now()).getTime() - withinMs);
      const rows = await this.#db.sql.all(
        `SELECT id FROM nodes WHERE heard_at >= ? AND id IN (${placeholders(ids.length)}) ORDER BY id`, [since, ...ids],
      );
      return rows.map((row) => String(row['id']));
    });
  }

  /** All nodes in the order of their ids. */
  async list(): Promise<Node[]> {
    return (await attempt(() => this.#db.prisma.node.findMany({ orderBy: { id: 'asc' } }))).map(toNode);
  }

  /** Throws `node_not_found` for a node that never registered. */
  async setState(id: string, state: Exclude<NodeState, 'removed'>): Promise<void> {
    const { count } = await attempt(() => this.#db.prisma.node.updateMany({
      where: { id, state: { not: state } }, data: { state, stateChangedAt: new Date() },
    }));
    if (count === 0 && await this.get(id) === undefined) throw new TrivetError('node_not_found', { node: id });
  }

  /** Takes a node out of the cluster. False, and nothing has changed, while it has replicas. */
  async remove(id: string): Promise<boolean> {
    return await attempt(() => this.#db.sql.run(
      `UPDATE nodes SET state = 'removed', state_changed_at = ?
       WHERE id = ? AND NOT EXISTS (SELECT 1 FROM replicas WHERE node_id = ?)`,
      [new Date(), id, id],
    )) === 1;
  }
}

/** The largest number that the column takes: a clock that is weeks off is off. */
const MAX_INT = 2 ** 31 - 1;

function toNode(row: Awaited<ReturnType<Database['prisma']['node']['findMany']>>[number]): Node {
  const number = (value: bigint | null) => (value === null ? null : Number(value));
  return { ...row, state: row.state as NodeState, diskTotalBytes: number(row.diskTotalBytes), diskFreeBytes: number(row.diskFreeBytes) };
}
