import { Replicas } from '../../controller/store/replicas.ts';
import type { Argument, Row, Sql, Statements } from '../../controller/store/sql.ts';
import { Journal, type JournalRecord } from '../../replica/participant/journal.ts';
import { REAL, type Guards } from './guards.ts';

/** A guard of the protocol, taken away from the side of the simulation; some checker must notice. */
export interface Control {
  name: string;
  /** What is different without it. */
  without: string;
  guards: Guards;
  /** Options in which it matters, by name. */
  set: readonly (readonly [name: string, value: string])[];
  /** The first seed of its test, from which it doesn't take long. */
  from: number;
  /** Some checker must have noticed by then. */
  maxRuns: number;
}

/** An answer to a promise doesn't wait for the disk. */
class HastyJournal extends Journal {
  override append(record: JournalRecord, durable: boolean): Promise<void> {
    void super.append(record, durable).catch(() => {});
    return Promise.resolve();
  }
}

/** Admits what a repair brought, whatever the repository is at by then. */
class LaxReplicas extends Replicas {
  readonly #sql: Sql;

  constructor(...parts: ConstructorParameters<typeof Replicas>) {
    super(...parts);
    this.#sql = parts[0].sql;
  }

  override async admit(...[job, position]: Parameters<Replicas['admit']>): Promise<boolean> {
    const [row] = await this.#sql.all('SELECT generation, refs_digest FROM repositories WHERE id = ?', [job.repository]);
    return super.admit(job, { ...position, generation: Number(row!['generation']), digest: String(row!['refs_digest']) });
  }
}

export const CONTROLS: readonly Control[] = [
  {
    name: 'quorum of configured', without: 'a quorum of whoever happens to be up is enough',
    guards: { ...REAL, sql: (sql) => rewritten(sql, (text) => text, (row) => ('replication_factor' in row ? { ...row, replication_factor: 1 } : row)) },
    set: [], from: 1, maxRuns: 2_000,
  },
  {
    name: 'compare-and-set on the generation', without: 'a decision counts whatever the repository is at',
    guards: { ...REAL, sql: (sql) => rewritten(sql, (text, values) => {
      const guard = 'AND generation = ? AND refs_digest = ?';
      if (!text.includes('UPDATE repositories') || !text.includes(guard)) return text;
      const before = text.slice(0, text.indexOf(guard)).split('?').length - 1;
      return [text.replace(guard, ''), values.toSpliced(before, 2)];
    }) },
    // Nodes hold one promise at a time, so two decisions meet only where a promise was lost with its disk while SQL was slow.
    set: [
      ['liveness', 'false'], ['nodes', '3'], ['controllers', '3'], ['repositories', '1'], ['clients', '3'], ['operations', '4'], ['oldDisks', '0'], ['probabilities.promise-gone', '0.3'],
      ['probabilities.sql-slow', '0.2'], ['promiseDeadlineMs', '3000'], ['sqlMs', '2000'], ['sqlSlowMs', '500'], ['probabilities.lost', '0.08'], ['probabilities.late', '0'], ['heartbeatMs', '40'], ['deadlines.turnMs', '5'],
    ],
    from: 1, maxRuns: 60_000,
  },
  {
    name: 'unique decision', without: 'a later decision about a transaction takes the place of an earlier one',
    guards: { ...REAL, sql: (sql) => rewritten(sql, (text) => text.replace('INSERT INTO transactions', 'INSERT OR REPLACE INTO transactions')) },
    set: [['probabilities.sql-slow', '0.3'], ['probabilities.commit-late', '0.1']], from: 1, maxRuns: 10_000,
  },
  {
    name: 'fencing', without: 'a holder whose lease has ended still has its say',
    guards: { ...REAL, sql: (sql) => rewritten(sql, (text, values) => {
      const held = "id = ? AND fence = ? AND holder = ? AND state = 'running'";
      return text.includes(held) ? [text.replace(held, 'id = ?'), values.slice(0, -2)] : text;
    }) },
    set: [['crashes', '4'], ['controllers', '3'], ['probabilities.sql-slow', '0.3'], ['leaseMs', '60']], from: 1, maxRuns: 20_000,
  },
  {
    name: 'promise before answer', without: 'a node answers before its promise is on the disk',
    guards: { ...REAL, Journal: HastyJournal },
    set: [], from: 1, maxRuns: 2_000,
  },
  {
    name: 'mark outdated before answer', without: 'the client hears success while stragglers count as current',
    guards: { ...REAL, ports: (ports) => ({ ...ports, mark: async () => {} }) },
    set: [], from: 1, maxRuns: 2_000,
  },
  {
    name: 'digest compared before admit', without: 'a repaired replica is admitted without comparing it with SQL',
    guards: { ...REAL, Replicas: LaxReplicas },
    set: [['crashes', '4'], ['clients', '3'], ['operations', '6'], ['repositories', '1'], ['probabilities.sql-slow', '0.3']], from: 1, maxRuns: 20_000,
  },
];

type Rewrite = (text: string, values: readonly Argument[]) => string | [text: string, values: readonly Argument[]];

/** The same store with other statements, or other rows. */
function rewritten(sql: Sql, rewrite: Rewrite, row: (row: Row) => Row = (same) => same): Sql {
  const wrap = (statements: Statements): Statements => {
    const changed = (text: string, values: readonly Argument[] = []): [string, readonly Argument[]] => {
      const result = rewrite(text, values);
      return typeof result === 'string' ? [result, values] : result;
    };
    return {
      dialect: statements.dialect,
      all: async (text, values) => (await statements.all(...changed(text, values))).map(row),
      run: (text, values) => statements.run(...changed(text, values)),
    };
  };
  return { ...wrap(sql), transaction: (work) => sql.transaction((statements) => work(wrap(statements))) };
}
