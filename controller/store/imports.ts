import { TrivetError } from '@trivet/proto/errors.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import type { Import, ImportPhase, ImportState } from './rows.ts';
import { equal, newestFirst, placeholders, removeBefore, type Argument, type Row, type Statements, rowLock, toDate } from './sql.ts';
import { removeRepository } from './trash.ts';

/** What fits in the column `last_error`. */
const ERROR_LENGTH = 4_000;

export interface NewImport {
  id: string;
  /** A URL, or `node:/directory`. */
  source: string;
}

/** What a holder tells of its work; what isn't given stays. */
export interface ImportProgress {
  phase?: ImportPhase;
  node?: string;
  objects?: number;
  totalObjects?: number | null;
  bytes?: number;
}

/**
 * Imports, one open for each repository that is `importing`.
 *
 * waiting --claim--> running --done--> done, the repository is ready
 *    ^                 |  `--fail--> failed, the repository is gone
 *    `------release----'
 *
 * `cancel` ends an open one as `fail` does. As with repair jobs, a claim has a lease and a fence that every later statement
 * of its holder names: one that was only paused changes nothing any more. Whether it has succeeded is the repository's
 * generation: above 0, its push was committed, and all that is left to do is to say so.
 */
export class Imports {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Takes imports that are due, the oldest first. Two that claim at once never get the same. @param limit how many at most */
  async claim(input: { holder: string; leaseMs: number; limit: number }): Promise<Import[]> {
    if (input.limit <= 0) return [];
    return attempt(async () => {
      const now = await this.#db.now();
      const due = await this.#db.sql.all(`${IMPORT} WHERE i.open = 1 AND ${DUE} ORDER BY i.next_attempt_at, i.id LIMIT ?`, [now, now, input.limit]);
      const claimed: Import[] = [];
      for (const row of due.map(toImport)) {
        const count = await this.#db.sql.run(
          `UPDATE imports SET state = 'running', attempt = attempt + 1, fence = fence + 1, holder = ?, lease_until = ?, phase = NULL,
             node_id = NULL, objects = 0, total_objects = NULL, bytes = 0
           WHERE id = ? AND fence = ? AND state = ? AND ${DUE_ITSELF}`,
          [input.holder, new Date(now.getTime() + input.leaseMs), row.id, row.fence, row.state, now, now],
        );
        if (count === 1) claimed.push({ ...row, state: 'running', attempt: row.attempt + 1, fence: row.fence + 1, holder: input.holder });
      }
      return claimed;
    });
  }

  /** Writes down how far a holder is, and extends its lease. False when the claim isn't `held`'s any more: then stop. */
  async report(held: Import, progress: ImportProgress, leaseMs: number): Promise<boolean> {
    return attempt(async () => {
      const leaseUntil = new Date((await this.#db.now()).getTime() + leaseMs);
      const set = COLUMNS.filter(([key]) => progress[key] !== undefined);
      const count = await this.#db.sql.run(
        `UPDATE imports SET lease_until = ?${set.map(([, column]) => `, ${column} = ?`).join('')} WHERE ${HELD}`,
        [leaseUntil, ...set.map(([key]) => progress[key] as Argument), ...heldBy(held)],
      );
      return count === 1;
    });
  }

  /** Gives a claim back for another attempt. False when it isn't `held`'s any more. */
  async release(held: Import, error: string, retryAfterMs: number): Promise<boolean> {
    return attempt(async () => {
      const now = await this.#db.now();
      const count = await this.#db.sql.run(
        `UPDATE imports SET state = 'waiting', holder = NULL, lease_until = NULL, last_error = ?, next_attempt_at = ? WHERE ${HELD}`,
        [error.slice(0, ERROR_LENGTH), new Date(now.getTime() + retryAfterMs), ...heldBy(held)],
      );
      return count === 1;
    });
  }

  /** The repository is filled, and ready. False, and nothing has changed, when the claim isn't `held`'s any more. */
  async done(held: Import): Promise<boolean> {
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      await lockRepository(statements, held.repository);
      if (!await isHeld(statements, held)) return false;
      await end(statements, held, 'done', null);
      await statements.run("UPDATE repositories SET state = 'ready' WHERE id = ? AND state = 'importing'", [held.repository]);
      return true;
    }));
  }

  /**
   * Gives an import up, and its repository with it: never is there half of one. Of a repository that was filled meanwhile
   * nothing is taken away: it is done. False, and nothing has changed, when the claim isn't `held`'s any more.
   */
  async fail(held: Import, error: string): Promise<boolean> {
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const filled = await lockRepository(statements, held.repository);
      if (!await isHeld(statements, held)) return false;
      await giveUp(statements, held, filled, 'failed', error.slice(0, ERROR_LENGTH));
      return true;
    }));
  }

  /** Ends an open import; who works on it has lost its claim. Throws `import_not_found`, `import_finished`. */
  async cancel(id: string): Promise<Import> {
    const { repository } = await this.get(id) ?? missing(id);
    await attempt(() => this.#db.sql.transaction(async (statements) => {
      const filled = await lockRepository(statements, repository);
      const [row] = await statements.all(`${IMPORT} WHERE i.id = ? ${rowLock(statements)}`, [id]);
      const found = row === undefined ? missing(id) : toImport(row);
      if (found.state !== 'waiting' && found.state !== 'running') throw new TrivetError('import_finished', { import: id, state: found.state });
      await giveUp(statements, found, filled, 'cancelled', null);
    }));
    return await this.get(id) ?? missing(id);
  }

  async get(id: string): Promise<Import | undefined> {
    const [row] = await attempt(() => this.#db.sql.all(`${IMPORT} WHERE i.id = ?`, [id]));
    return row && toImport(row);
  }

  /** One page, the newest first. @param filter.after the last id of the page before */
  async page(filter: { state?: ImportState | 'open'; after?: string; limit: number }): Promise<Import[]> {
    const rows = await attempt(() => newestFirst(this.#db.sql, IMPORT, 'i.id', [
      filter.state === 'open' ? equal('i.open', 1) : equal('i.state', filter.state),
    ], filter));
    return rows.map(toImport);
  }

  /** Removes imports that were finished before then, `limit` at most. Returns how many. */
  async prune(finishedBefore: Date, limit: number): Promise<number> {
    return attempt(() => removeBefore(this.#db.sql, 'imports', 'finished_at', finishedBefore, limit));
  }
}

/** In the SQL transaction that makes the repository. */
export async function insertImport(statements: Statements, input: NewImport & { repository: string; repositoryName: string }): Promise<void> {
  const now = new Date();
  const values = [input.id, input.repository, input.repositoryName, input.source, 'waiting', 1, 0, 0, 0, 0, now, now];
  await statements.run(
    `INSERT INTO imports (id, repository_id, repository, source, state, open, objects, bytes, attempt, fence, next_attempt_at, created_at)
     VALUES (${placeholders(values.length)})`,
    values,
  );
}

const IMPORT = `SELECT i.id, i.repository_id, i.repository, i.source, i.state, i.phase, i.node_id, i.objects, i.total_objects, i.bytes,
    i.attempt, i.fence, i.holder, i.last_error, i.created_at, i.finished_at
  FROM imports i`;
/** A new one is due whatever its maker's clock said. */
const DUE = "((i.state = 'waiting' AND (i.attempt = 0 OR i.next_attempt_at <= ?)) OR (i.state = 'running' AND i.lease_until <= ?))";
const DUE_ITSELF = DUE.replaceAll('i.', '');
const HELD = "id = ? AND fence = ? AND holder = ? AND state = 'running'";

const COLUMNS: readonly [keyof ImportProgress, string][] = [
  ['phase', 'phase'], ['node', 'node_id'], ['objects', 'objects'], ['totalObjects', 'total_objects'], ['bytes', 'bytes'],
];

function heldBy(held: Import): Argument[] {
  return [held.id, held.fence, held.holder];
}

async function isHeld(statements: Statements, held: Import): Promise<boolean> {
  return (await statements.all(`SELECT id FROM imports WHERE ${HELD} ${rowLock(statements)}`, heldBy(held))).length === 1;
}

/** Before the import's row, as a decision does, so that no two wait for each other. @returns whether the import's push was committed */
async function lockRepository(statements: Statements, id: string): Promise<boolean> {
  const [row] = await statements.all(`SELECT generation FROM repositories WHERE id = ? ${rowLock(statements)}`, [id]);
  return row !== undefined && Number(row['generation']) > 0;
}

async function giveUp(statements: Statements, given: Import, filled: boolean, state: 'failed' | 'cancelled', error: string | null): Promise<void> {
  await end(statements, given, filled ? 'done' : state, filled ? null : error);
  if (filled) await statements.run("UPDATE repositories SET state = 'ready' WHERE id = ? AND state = 'importing'", [given.repository]);
  else await removeRepository(statements, given.repository);
}

async function end(statements: Statements, { id }: Import, state: ImportState, error: string | null): Promise<void> {
  await statements.run(
    `UPDATE imports SET state = ?, open = NULL, fence = fence + 1, holder = NULL, lease_until = NULL, last_error = ?, finished_at = ?
     WHERE id = ? AND open = 1`,
    [state, error, new Date(), id],
  );
}

function missing(id: string): never {
  throw new TrivetError('import_not_found', { import: id });
}

function toImport(row: Row): Import {
  return {
    id: String(row['id']),
    repository: String(row['repository_id']),
    repositoryName: String(row['repository']),
    source: String(row['source']),
    state: row['state'] as ImportState,
    phase: row['phase'] as ImportPhase | null,
    node: row['node_id'] as string | null,
    objects: Number(row['objects']),
    totalObjects: row['total_objects'] === null ? null : Number(row['total_objects']),
    bytes: Number(row['bytes']),
    attempt: Number(row['attempt']),
    fence: Number(row['fence']),
    holder: row['holder'] as string | null,
    lastError: row['last_error'] as string | null,
    createdAt: toDate(row['created_at']),
    finishedAt: row['finished_at'] === null ? null : toDate(row['finished_at']),
  };
}
