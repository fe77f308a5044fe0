import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { newId } from '@trivet/proto/id.ts';
import { type Database, openDatabase } from './database.ts';
import { Decisions } from './decisions.ts';
import { attempt } from './failure.ts';
import { RepairJobs } from './jobs.ts';
import { Nodes } from './nodes.ts';
import { Repositories } from './repositories.ts';
import { digestOf, mariadbPid, mariadbTest, seed, sqliteTest, step, storeTest } from './stores-under-test.ts';

/** As the client says it: behind the byte for a query. READ COMMITTED is not meant. */
const COMMIT = '\x03COMMIT';

/** Every way in which the folder talks to the database: mysql2 itself, Prisma, Prisma's SQL transactions, ours. */
function allWays(db: Database, repository: string): [string, () => Promise<unknown>][] {
  return [
    ['ping', () => db.ping()],
    ['a read', () => new Repositories(db).routeById(repository)],
    ['a read by Prisma', () => new Nodes(db).list()],
    ['a write by Prisma', () => new Nodes(db).setState('n1', 'active')],
    ['a SQL transaction by Prisma', () => seed(db, newId())],
    ['a claim', () => new RepairJobs(db).claim({ holder: 'c1', leaseMs: 0, nodes: ['n1'], limit: 1 })],
    ['a decision to abort', () => new Decisions(db, 'c1').settle({
      repository, batch: newId(), transactions: [newId()],
    })],
  ];
}

mariadbTest('a stopped server makes everything store_unavailable, and all goes on with it', async (t, store) => {
  const db = await store.open();
  const hurried = await store.open({ deadlineMs: 300, poolSize: 2 });
  const repository = await seed(db);
  process.kill(mariadbPid(), 'SIGSTOP');
  try {
    for (const [name, way] of allWays(hurried, repository.id)) {
      await t.throwsAsync(way(), { code: 'store_unavailable' }, name);
    }
    const commits = [1, 2, 3, 4].map(() => new Decisions(hurried, 'c1').commit(step(repository, 0)));
    for (const commit of commits) await t.throwsAsync(commit, { code: 'store_unavailable' });
    await t.throwsAsync(openDatabase(store.url, { deadlineMs: 300 }), { code: 'store_unavailable' });
  } finally {
    process.kill(mariadbPid(), 'SIGCONT');
  }
  // None of the four was applied, then or since.
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
  for (const [name, way] of allWays(db, repository.id)) await t.notThrowsAsync(way(), name);
});

for (const where of ['UPDATE repositories', 'INSERT INTO transactions', 'UPDATE replicas']) {
  mariadbTest(`a decision whose connection is cut before ${where} arrives is made once, on another connection`, async (t, store) => {
    const cut = await startCut(store.url, where, 'before');
    t.teardown(() => cut.close());
    const direct = await store.open();
    const repository = await seed(direct);
    const db = await openDatabase(cut.url);
    const decision = step(repository, 0);
    t.is(await new Decisions(db, 'c1').commit(decision), 'committed');
    t.true(cut.struck, 'the connection was cut');
    t.is((await new Repositories(direct).routeById(repository.id))!.repository.generation, 1);
    t.is((await new Decisions(direct, 'c2').page({ limit: 10 })).length, 1);
    await db.close();
  });
}

mariadbTest('a decision whose COMMIT was cut on its way is not made again: nobody knows whether it arrived', async (t, store) => {
  const cut = await startCut(store.url, COMMIT, 'before');
  t.teardown(() => cut.close());
  const direct = await store.open();
  const repository = await seed(direct);
  const db = await openDatabase(cut.url);
  const decision = step(repository, 0);
  await t.throwsAsync(new Decisions(db, 'c1').commit(decision), { code: 'outcome_unknown' });
  t.is(await new Decisions(direct, 'c2').outcome(decision.transactions), undefined);
  t.deepEqual(await new Decisions(direct, 'c2').settle(decision), { outcome: 'abort' });
  await db.close();
});

mariadbTest('a statement that commits itself is not made again when its answer is lost', async (t, store) => {
  const cut = await startCut(store.url, 'UPDATE nodes', 'after');
  t.teardown(() => cut.close());
  await seed(await store.open());
  const db = await openDatabase(cut.url);
  await t.throwsAsync(new Nodes(db).heard(['n1']), { code: 'store_unavailable' });
  await db.close();
});

for (const fate of ['cut', 'silent'] as const) {
  mariadbTest(`a lost answer to COMMIT (${fate}) is outcome_unknown, and settling tells`, async (t, store) => {
    const cut = await startCut(store.url, COMMIT, fate === 'cut' ? 'after' : 'silence');
    t.teardown(() => cut.close());
    const direct = await store.open();
    const repository = await seed(direct);
    const db = await openDatabase(cut.url, { deadlineMs: 500 });
    const decision = step(repository, 0);
    await t.throwsAsync(new Decisions(db, 'c1').commit(decision), { code: 'outcome_unknown' });
    t.deepEqual(await new Decisions(direct, 'c2').settle(decision), { outcome: 'commit', after: { generation: 1, digest: digestOf(1) } });
    await db.close();
  });
}

mariadbTest('a repository whose COMMIT was not answered may be there, and nobody is told that it is not', async (t, store) => {
  const cut = await startCut(store.url, COMMIT, 'after');
  t.teardown(() => cut.close());
  const direct = await store.open();
  await seed(direct);
  const db = await openDatabase(cut.url);
  const id = newId();
  const input = { id, name: 'x', objectFormat: 'sha1' as const, defaultBranch: 'refs/heads/main', replicationFactor: 1, digest: digestOf(0), nodes: ['n1'] };
  await t.throwsAsync(new Repositories(db).create(input), { code: 'outcome_unknown' });
  t.is((await new Repositories(direct).routeById(id))!.replicas.length, 1);
  await db.close();
});

storeTest('a defect of the program is no outage', async (t, store) => {
  const db = await store.open();
  await t.throwsAsync(new Nodes(db).setState('n1', 1 as unknown as 'active'), { code: 'internal' });
  await t.throwsAsync(attempt(() => db.sql.all('SELECT nonsense FROM repositories')), { code: 'internal' });
});

mariadbTest('a killed server gives store_unavailable', async (t, store) => {
  // Last in this file, because it takes the server along.
  const db = await store.open({ deadlineMs: 2_000 });
  const repository = await seed(db);
  process.kill(mariadbPid(), 'SIGKILL');
  for (const [name, way] of allWays(db, repository.id)) {
    await t.throwsAsync(way(), { code: 'store_unavailable' }, name);
  }
  await t.throwsAsync(new Decisions(db, 'c1').commit(step(repository, 0)), { code: 'store_unavailable' });
});

sqliteTest('a statement waits while another process writes, for the deadline at most', async (t, store) => {
  const writer = await store.open();
  const repository = await seed(writer);
  const other = await store.open({ deadlineMs: 200 });
  await writer.sql.transaction(async () => {
    await t.throwsAsync(new Decisions(other, 'c1').commit(step(repository, 0)), { code: 'store_unavailable' });
    await t.throwsAsync(new Nodes(other).setState('n1', 'quiesced'), { code: 'store_unavailable' });
    await t.notThrowsAsync(new Repositories(other).routeById(repository.id), 'reads go on');
  });
  t.is(await new Decisions(other, 'c1').commit(step(repository, 0)), 'committed');
});

sqliteTest('a database that cannot be opened gives store_unavailable', async (t, store) => {
  await t.throwsAsync(openDatabase(`${store.url}/not/there.db`), { code: 'store_unavailable' });
});

interface Cut {
  url: string;
  readonly struck: boolean;
  close(): Promise<void>;
}

/**
 * A TCP relay to the server that strikes once, when the client first says `text`: it cuts the connection `before` the
 * server has heard it, or `after` the server has answered it, or keeps the answer back (`silence`).
 */
async function startCut(url: string, text: string, mode: 'before' | 'after' | 'silence'): Promise<Cut> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let armed = true;
  const relay: Server = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    let struck = false;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    client.on('data', (chunk: Buffer) => {
      if (armed && chunk.includes(text)) {
        armed = false;
        struck = true;
        if (mode === 'before') {
          client.destroy();
          return;
        }
      }
      server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (!struck) client.write(chunk);
      else if (mode === 'after') client.destroy();
    });
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const address = relay.address();
  if (address === null || typeof address === 'string') throw new Error('no port to be had');
  const relayed = new URL(url);
  relayed.port = String(address.port);
  return {
    url: relayed.href,
    get struck() { return !armed; },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      relay.close();
      await once(relay, 'close');
    },
  };
}
