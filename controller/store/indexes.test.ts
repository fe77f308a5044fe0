import { newId } from '@trivet/proto/id.ts';
import type { Database } from './database.ts';
import { Decisions } from './decisions.ts';
import { Findings } from './findings.ts';
import { RepairJobs } from './jobs.ts';
import { Nodes } from './nodes.ts';
import { Outbox } from './outbox.ts';
import { RepositoriesAtRisk } from './at-risk.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import type { Argument, Row, Sql, Statements } from './sql.ts';
import { digestOf, mariadbTest, seed, step } from './stores-under-test.ts';
import { Verifications } from './verifications.ts';

const ROWS = 3_000;
const NODES = ['n1', 'n2', 'n3'];
/** Tables so small, whatever the cluster's size, that reading them whole is the fastest way. */
const SMALL = new Set(['nodes', 'n', 'events', 'duties', 'server']);

/** A statement as it was sent, with its values. */
type Sent = readonly [sql: string, values: readonly Argument[]];

/** The same database, which writes down what it is sent. */
function recording(db: Database): { db: Database; sent: Sent[] } {
  const sent: Sent[] = [];
  const record = (statements: Statements): Statements => ({
    dialect: statements.dialect,
    all: (sql, values = []) => { sent.push([sql, values]); return statements.all(sql, values); },
    run: (sql, values = []) => { sent.push([sql, values]); return statements.run(sql, values); },
  });
  const sql: Sql = { ...record(db.sql), transaction: (work) => db.sql.transaction((statements) => work(record(statements))) };
  return { db: { ...db, sql }, sent };
}

/** Some thousand repositories with three replicas each, their decisions, and a finished job and a finding for some. */
async function fill(db: Database): Promise<void> {
  const { sql } = db;
  const id = (letter: string) => `LPAD(CONCAT('${letter}', HEX(seq)), 32, '0')`;
  const all = `FROM seq_1_to_${ROWS}`;
  for (const statement of [
    `INSERT INTO repositories (id, name, object_format, default_branch, replication_factor, generation, refs_digest, deny_non_fast_forwards, deny_deletes, created_at)
     SELECT ${id('a')}, CONCAT('filler/', seq), 'sha1', 'refs/heads/main', 3, 1, REPEAT('0', 64), 0, 0, NOW(3) ${all}`,
    ...NODES.map((node) => `INSERT INTO replicas (repository_id, node_id, state, generation, digest, changed_at, verified_at, checked_at, next_verify_at, next_check_at)
     SELECT ${id('a')}, '${node}', 'current', 1, REPEAT('0', 64), NOW(3), NOW(3), NOW(3), NOW(3) + INTERVAL seq SECOND, NOW(3) + INTERVAL seq MINUTE ${all}`),
    `INSERT INTO transactions (id, batch, repository_id, outcome, generation, digest, decided_by, decided_at)
     SELECT ${id('b')}, ${id('b')}, ${id('a')}, IF(seq % 10 = 0, 'abort', 'commit'), 1, REPEAT('0', 64), 'c1', NOW(3) - INTERVAL seq HOUR ${all}`,
    `INSERT INTO repair_jobs (id, repository_id, node_id, reason, detail, state, open, attempt, fence, round, objects, bytes, next_attempt_at, created_at, finished_at)
     SELECT ${id('c')}, ${id('a')}, 'n1', 'outdated', '', 'done', NULL, 1, 1, 1, 1, 1, NOW(3), NOW(3), NOW(3) - INTERVAL seq MINUTE ${all}`,
    `INSERT INTO findings (id, node_id, repository_id, kind, detail, found_at, resolved_at)
     SELECT ${id('d')}, 'n1', ${id('a')}, 'corrupt', '', NOW(3), NOW(3) - INTERVAL seq MINUTE ${all}`,
  ]) await sql.run(statement);
  for (const table of ['repositories', 'replicas', 'transactions', 'repair_jobs', 'findings']) await sql.all(`ANALYZE TABLE ${table}`);
}

/** What happens all the time: pushes, reads, a straggler and its repair, verification, the loops. */
async function aDay(db: Database, sent: Sent[]): Promise<void> {
  const [repositories, decisions, replicas, jobs, verifications] = [
    new Repositories(db), new Decisions(db, 'c1'), new Replicas(db), new RepairJobs(db), new Verifications(db),
  ];
  const repository = await seed(db);
  sent.length = 0;
  await repositories.route(repository.name);
  await repositories.list({ after: 'filler/1', limit: 100 });
  const decision = { ...step(repository, 0, ['n1', 'n2']), events: [{ kind: 'push', payload: {} }] };
  await decisions.commit(decision);
  await decisions.decided(decision.transactions);
  await decisions.settle({ repository: repository.id, batch: newId(), transactions: [newId()] });
  await decisions.page({ repository: repository.id, limit: 10 });
  await decisions.prune(90 * 86_400_000, 100);
  await replicas.mark(repository.id, ['n2'], 'outdated', 'straggler', 1);
  await jobs.ensureAll(100);
  for (const job of await jobs.claim({ holder: 'c1', leaseMs: 10_000, nodes: NODES, limit: 2 })) {
    await jobs.begin(job);
    await jobs.report(job, { round: 1 }, 10_000);
    if (job.node === 'n2') await jobs.fail(job, 'x', 1_000);
    else await replicas.admit(job, { generation: 1, digest: digestOf(1), checked: true });
  }
  await jobs.wake({ repository: repository.id });
  await jobs.wake({ node: 'n1' });
  await jobs.countOpen();
  await jobs.prune(new Date(Date.now() - 86_400_000), 10);
  await new Findings(db).countOpen();
  await new Findings(db).prune(new Date(Date.now() - 86_400_000), 10);
  await new RepositoriesAtRisk(db).list([]);
  await replicas.countByState(1);
  for (const kind of ['verify', 'check'] as const) {
    await verifications.plan(kind, 1_000, 10, Math.random);
    const due = await verifications.claim(kind, ['n3'], 1_000);
    if (due !== undefined) await verifications.done(due);
    await verifications.oldest(kind);
  }
  await new Nodes(db).heard(['n1']);
  await new Outbox(db).after(0, 10);
}

/** The statements that read a table, or an index, from end to end, each with what the server says of it. */
async function fullScans(db: Database, sent: readonly Sent[]): Promise<string[]> {
  const scans: string[] = [];
  for (const [sql, values] of new Map(sent.map((statement) => [statement[0].replace(/\s+/g, ' '), statement])).values()) {
    if (/^\s*INSERT [^;]*VALUES/.test(sql)) continue;
    const plan = await db.sql.all(`EXPLAIN ${sql}`, values) as Row[];
    for (const row of plan) {
      const whole = row['type'] === 'ALL' || (row['type'] === 'index' && Number(row['rows']) >= ROWS);
      if (whole && !SMALL.has(String(row['table'])) && !/^<|^suspects$/.test(String(row['table']))) {
        scans.push(`${String(row['table'])} (${String(row['type'])}, ${String(row['rows'])} rows): ${sql}`);
      }
    }
  }
  return scans;
}

mariadbTest('no statement of the hot paths reads a table from end to end', async (t, store) => {
  const plain = await store.open();
  for (const id of NODES) await new Nodes(plain).register({ id, url: `http://${id}`, boot: newId() });
  await fill(plain);
  const { db, sent } = recording(plain);
  await aDay(db, sent);
  t.true(sent.length > 40, 'statements were recorded');
  t.deepEqual(await fullScans(plain, sent), []);
  // Control: each of these indexes is missed by somebody.
  for (const [table, index] of [
    ['transactions', 'transactions_outcome_decided_at_idx'], ['replicas', 'replicas_state_verified_at_idx'], ['repair_jobs', 'repair_jobs_open_next_attempt_at_idx'],
  ] as const) {
    const other = index === 'replicas_state_verified_at_idx' ? ', DROP INDEX replicas_state_checked_at_idx' : '';
    await plain.sql.run(`ALTER TABLE ${table} DROP INDEX ${index}${other}`);
    t.true((await fullScans(plain, sent)).some((scan) => new RegExp(table === 'replicas' ? 'replicas|^r ' : table === 'repair_jobs' ? 'repair_jobs|^j ' : 'transactions|^t ').test(scan)), `without ${index}`);
  }
});
