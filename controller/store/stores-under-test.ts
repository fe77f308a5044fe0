import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '@trivet/proto/id.ts';
import test, { type ExecutionContext } from 'ava';
import { type MariaDb, mariadbHere, startMariaDb } from '../../test/mariadb.ts';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { Nodes } from './nodes.ts';
import { Repositories } from './repositories.ts';
import type { Repository } from './rows.ts';

/** An empty database of one test's own, and as many connection bundles to it as the test asks for. */
export interface StoreUnderTest {
  dialect: 'mysql' | 'sqlite';
  url: string;
  open(options?: DatabaseOptions): Promise<Database>;
}

type Body = (t: ExecutionContext, store: StoreUnderTest) => Promise<void>;

let mariaDb: MariaDb | undefined;
let databases = 0;

/** Declares a test twice: on SQLite, and on a real MariaDB that is started once for the test file. */
export function storeTest(title: string, body: Body): void {
  sqliteTest(title, body);
  mariadbTest(title, body);
}

export function sqliteTest(title: string, body: Body): void {
  test(`sqlite: ${title}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'trivet-store-'));
    try {
      await run(t, body, 'sqlite', `file:${join(folder, 'store.db')}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

export function mariadbTest(title: string, body: Body): void {
  if (!mariadbHere()) {
    test.skip(`mariadb: ${title} (mariadbd is not installed here)`, () => {});
    return;
  }
  test.serial(`mariadb: ${title}`, async (t) => {
    mariaDb ??= await startMariaDb();
    await run(t, body, 'mysql', await mariaDb.createDatabase(`trivet_${++databases}`));
  });
}

test.after.always('the server is gone', async () => {
  await mariaDb?.stop();
});

/** The server's process, for tests that do it harm. */
export function mariadbPid(): number {
  return mariaDb!.pid;
}

/** A refs digest that is easy to tell from others. */
export function digestOf(generation: number): string {
  return generation.toString(16).padStart(64, '0');
}

/** A repository at generation 0, current on the nodes n1, n2 and n3. */
export async function seed(db: Database, name: string = 'some/repository'): Promise<Repository> {
  const nodes = ['n1', 'n2', 'n3'];
  for (const id of nodes) await new Nodes(db).register({ id, url: `http://${id}`, boot: newId() });
  const id = newId();
  await new Repositories(db).create({
    id, name, objectFormat: 'sha1', defaultBranch: 'refs/heads/main', replicationFactor: 3,
    digest: digestOf(0), nodes,
  });
  return (await new Repositories(db).routeById(id))!.repository;
}

/** What a commit from one generation to the next says. */
export function step(repository: Repository, from: number, promised: string[] = ['n1', 'n2', 'n3']) {
  return {
    repository: repository.id,
    batch: newId(),
    transactions: [newId()],
    before: { generation: from, digest: digestOf(from) },
    after: { generation: from + 1, digest: digestOf(from + 1), head: 'refs/heads/main' },
    promised,
  };
}

async function run(t: ExecutionContext, body: Body, dialect: 'mysql' | 'sqlite', url: string): Promise<void> {
  const opened: Database[] = [];
  const open = async (options?: DatabaseOptions) => {
    const db = await openDatabase(url, options);
    opened.push(db);
    return db;
  };
  try {
    await body(t, { dialect, url, open });
  } finally {
    for (const db of opened) await db.close();
  }
}
