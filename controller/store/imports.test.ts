import { newId } from '@trivet/proto/id.ts';
import type { Database } from './database.ts';
import { Decisions } from './decisions.ts';
import { Imports } from './imports.ts';
import { Nodes } from './nodes.ts';
import { Removals } from './removals.ts';
import { Repositories } from './repositories.ts';
import type { Import } from './rows.ts';
import { digestOf, step, storeTest } from './stores-under-test.ts';
import { Trash } from './trash.ts';

const LONG_MS = 500_000;

async function begin(db: Database, name: string): Promise<{ id: string; repository: string }> {
  const nodes = ['n1', 'n2', 'n3'];
  for (const id of nodes) await new Nodes(db).register({ id, url: `http://${id}`, boot: newId() });
  const [id, repository] = [newId(), newId()];
  await new Repositories(db).create({
    id: repository, name, objectFormat: 'sha1', defaultBranch: 'refs/heads/main', replicationFactor: 3, digest: digestOf(0), nodes,
    import: { id, source: 'https://example.org/r.git' },
  });
  return { id, repository };
}

async function claimed(db: Database, holder = 'c1', leaseMs = LONG_MS): Promise<Import> {
  const [held] = await new Imports(db).claim({ holder, leaseMs, limit: 1 });
  return held!;
}

storeTest('a repository that is to be filled is importing, keeps its name from others, and can not be deleted meanwhile', async (t, store) => {
  const db = await store.open();
  const { id, repository } = await begin(db, 'r');
  t.is((await new Repositories(db).route('r'))!.repository.state, 'importing');
  t.like(await new Imports(db).get(id), { id, repository, repositoryName: 'r', source: 'https://example.org/r.git', state: 'waiting', attempt: 0 });
  await t.throwsAsync(begin(db, 'R'), { code: 'repository_exists' });
  t.is((await new Imports(db).page({ limit: 9 })).length, 1, 'what was refused left no import');
  await t.throwsAsync(new Trash(db).put({ id: repository, name: 'r' }), { code: 'repository_importing' });
});

storeTest('an import is claimed once, and anew when its lease is over; the slow holder changes nothing any more', async (t, store) => {
  const [db, other] = [await store.open(), await store.open()];
  await begin(db, 'r');
  const claims = await Promise.all([db, other].map((each, i) => new Imports(each).claim({ holder: `c${i}`, leaseMs: 1, limit: 9 })));
  const [first] = claims.flat();
  t.true(claims.flat().length >= 1);
  const imports = new Imports(db);
  let second: Import | undefined;
  while (second === undefined) [second] = await imports.claim({ holder: 'c9', leaseMs: LONG_MS, limit: 9 });
  t.true(second.fence > first!.fence);
  t.false(await imports.report(first!, { bytes: 1 }, LONG_MS));
  t.false(await imports.release(first!, 'x', 0));
  t.false(await imports.done(first!));
  t.false(await imports.fail(first!, 'x'));
  t.is((await new Repositories(db).route('r'))!.repository.state, 'importing');
  t.true(await imports.report(second, { phase: 'fetching', node: 'n2', objects: 5, totalObjects: 10, bytes: 99 }, LONG_MS));
  t.like(await imports.get(second.id), { phase: 'fetching', node: 'n2', objects: 5, totalObjects: 10, bytes: 99, state: 'running' });
  t.deepEqual(await imports.claim({ holder: 'c1', leaseMs: LONG_MS, limit: 9 }), []);
});

storeTest('a filled repository is ready, and a released import is tried again', async (t, store) => {
  const db = await store.open();
  const { id } = await begin(db, 'r');
  const imports = new Imports(db);
  t.true(await imports.release(await claimed(db), 'node_unreachable', 0));
  t.like(await imports.get(id), { state: 'waiting', lastError: 'node_unreachable', attempt: 1 });
  t.true(await imports.done(await claimed(db)));
  t.like(await imports.get(id), { state: 'done', lastError: null, attempt: 2 });
  t.is((await new Repositories(db).route('r'))!.repository.state, 'ready');
  await t.throwsAsync(imports.cancel(id), { code: 'import_finished' });
});

storeTest('an import that failed takes its repository along, and has every copy removed', async (t, store) => {
  const db = await store.open();
  const { id, repository } = await begin(db, 'r');
  t.true(await new Imports(db).fail(await claimed(db), 'import_failed: broken'));
  t.like(await new Imports(db).get(id), { state: 'failed', lastError: 'import_failed: broken' });
  t.is(await new Repositories(db).routeById(repository), undefined);
  t.is((await new Removals(db).due(['n1', 'n2', 'n3'], 9)).length, 3);
  await begin(db, 'r');
  t.is(await new Imports(db).prune(new Date(Date.now() + 60_000), 9), 1, 'what is open stays');
});

storeTest('a push of an import that was committed is never given up: what fails or is cancelled after it is done', async (t, store) => {
  const db = await store.open();
  const imports = new Imports(db);
  for (const end of ['fail', 'cancel'] as const) {
    const { id, repository } = await begin(db, end);
    const held = await claimed(db);
    t.is(await new Decisions(db, 'c1').commit(step({ id: repository } as Parameters<typeof step>[0], 0)), 'committed');
    if (end === 'fail') await imports.fail(held, 'late');
    else await imports.cancel(id);
    t.is((await imports.get(id))!.state, 'done', end);
    t.like((await new Repositories(db).route(end))!.repository, { state: 'ready', generation: 1 });
  }
});

storeTest('a cancelled import is gone with its repository, and a push that is still on its way is refused', async (t, store) => {
  const db = await store.open();
  const { id, repository } = await begin(db, 'r');
  const held = await claimed(db);
  t.is((await new Imports(db).cancel(id)).state, 'cancelled');
  t.false(await new Imports(db).report(held, {}, LONG_MS));
  t.is(await new Decisions(db, 'c1').commit(step({ id: repository } as Parameters<typeof step>[0], 0)), 'refused');
  await t.throwsAsync(new Imports(db).cancel(newId()), { code: 'import_not_found' });
});
