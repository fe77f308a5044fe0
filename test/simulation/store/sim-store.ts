import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { knownMigrations, statementsOf } from '../../../controller/store/migrate.ts';
import type { Argument, Row } from '../../../controller/store/sql.ts';

interface Prepared {
  statement: StatementSync;
  /** Whether it changes what checkers look at. */
  matters: boolean;
  /** The table it writes to. */
  table: string | undefined;
  /** Whether it can only find open repair jobs. */
  openJobs: boolean;
  /** The tables it reads. */
  reads: readonly Table[];
  /** What it found, by the values it was given, while `writes` is how often anybody has written to the tables it reads. */
  answers: Map<string, Row[]>;
  writes: number;
}

interface Table {
  /** How often anybody has written to it. */
  writes: number;
}

/** Opening a database and migrating it takes as long as a run; so a thread keeps one, and empties it for each run. */
let kept: { database: DatabaseSync; prepared: Map<string, Prepared>; tables: string[]; written: Set<string>; byName: Map<string, Table>; inUse: boolean } | undefined;

/**
 * The database server: the real schema in an SQLite database in memory. SQL transactions run one at a time, so whoever
 * comes while one is open waits. What was committed survives everything.
 */
export class SimStore {
  readonly #database: DatabaseSync;
  readonly #prepared: Map<string, Prepared>;
  readonly #waiting: (() => void)[] = [];
  #taken = false;
  #dirty = false;
  /** Whether it answers at all. */
  up = true;
  /** By how much its clock, which leases are measured by, is wrong. */
  skewMs = 0;
  /** Called after each commit that changed repositories, replicas or decisions. */
  onCommit: () => void = () => {};

  constructor() {
    kept ??= open();
    if (kept.inUse) throw new Error('one run at a time in a thread');
    kept.inUse = true;
    this.#database = kept.database;
    // Of a run that was stopped in the middle.
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#prepared = kept.prepared;
    for (const table of kept.tables) {
      if (kept.written.has(table)) this.run(`DELETE FROM ${table}`, []);
      this.#forget(table);
    }
    kept.written.clear();
    this.#dirty = false;
  }

  /** The next run may have it. */
  close(): void {
    kept!.inUse = false;
  }

  /** Takes the database for oneself where nobody has it. @returns what gives it back */
  tryEnter(): (() => void) | undefined {
    if (this.#taken) return undefined;
    this.#taken = true;
    return this.#leaver();
  }

  /** Waits for the database to oneself. @returns what gives it back */
  enter(): Promise<() => void> {
    const leave = this.tryEnter();
    if (leave !== undefined) return Promise.resolve(leave);
    return new Promise((resolve) => { this.#waiting.push(() => resolve(this.#leaver())); });
  }

  /** Between two writes the same question has the same answer, and most questions are asked again and again. */
  all(sql: string, values: readonly Argument[]): Row[] {
    const prepared = this.#prepare(sql);
    const { statement, openJobs, answers, reads } = prepared;
    let writes = 0;
    for (const table of reads) writes += table.writes;
    if (writes !== prepared.writes) {
      answers.clear();
      prepared.writes = writes;
    }
    const given = values.map(toSql);
    const key = given.length === 1 ? String(given[0]) : given.join('\n');
    let rows = answers.get(key);
    if (rows === undefined) {
      // Due jobs are looked for all the time, by a statement that takes longer than most, and hardly ever is there one.
      if (openJobs && this.all(ANY_OPEN_JOB, []).length === 0) return [];
      rows = this.#attempt(() => statement.all(...given) as Row[]);
      answers.set(key, rows);
    }
    return rows;
  }

  run(sql: string, values: readonly Argument[]): number {
    const { statement, matters, table } = this.#prepare(sql);
    const changes = this.#attempt(() => Number(statement.run(...values.map(toSql)).changes));
    if (changes > 0) {
      if (table !== undefined) {
        kept!.written.add(table);
        this.#forget(table);
      }
      if (matters) this.#dirty = true;
    }
    return changes;
  }

  begin(): void {
    this.#database.exec('BEGIN');
  }

  commit(): void {
    this.#database.exec('COMMIT');
    this.committed();
  }

  rollback(): void {
    this.#database.exec('ROLLBACK');
    for (const table of kept!.written) this.#forget(table);
    this.#dirty = false;
  }

  /** After a statement outside a SQL transaction. */
  committed(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    this.onCommit();
  }

  #forget(table: string): void {
    tableNamed(table).writes += 1;
  }

  #leaver(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken = false;
      else next();
    };
  }

  #prepare(sql: string): Prepared {
    let prepared = this.#prepared.get(sql);
    if (prepared === undefined) {
      const table = /^\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+(\w+)/.exec(sql)?.[1];
      prepared = {
        statement: this.#database.prepare(sql), table, matters: table === 'repositories' || table === 'replicas' || table === 'transactions',
        openJobs: sql.includes('FROM repair_jobs j') && sql.includes('WHERE j.open = 1 AND'),
        reads: [...sql.matchAll(/(?:FROM|JOIN)\s+(\w+)/g)].map(([, name]) => tableNamed(name!)), answers: new Map(), writes: 0,
      };
      this.#prepared.set(sql, prepared);
    }
    return prepared;
  }

  /** SQLite's errors with their code where the store looks for it. */
  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw Object.assign(new Error((error as Error).message), { rawCode: (error as { errcode?: number }).errcode });
    }
  }
}

const ANY_OPEN_JOB = 'SELECT 1 FROM repair_jobs WHERE open = 1 LIMIT 1';

function open(): NonNullable<typeof kept> {
  const database = new DatabaseSync(':memory:');
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA automatic_index = OFF');
  for (const { sql } of knownMigrations('sqlite')) for (const statement of statementsOf(sql)) database.exec(statement);
  // Children first, because of the foreign keys.
  const tables = ['repair_jobs', 'replicas', 'nodes', 'repositories', 'transactions', 'events', 'findings', 'data_losses', 'removals', 'imports', 'maintenance_leases', 'clusters', 'controllers', 'duties'];
  return { database, prepared: new Map(), tables, written: new Set(), byName: new Map(), inUse: false };
}

function tableNamed(name: string): Table {
  let table = kept!.byName.get(name);
  if (table === undefined) kept!.byName.set(name, table = { writes: 0 });
  return table;
}

function toSql(value: Argument): string | number | null {
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value;
}
