import anyTest, { type TestFn } from 'ava';
import { DIGEST, equal, FakeParts, idOf, makeJob, nextId, planOf, serve } from './operations-under-test.ts';

interface Context { parts: FakeParts; url: string; close(): Promise<void> }
const test = anyTest as TestFn<Context>;

test.beforeEach(async (t) => {
  const parts = new FakeParts();
  t.context = { parts, ...await serve(parts) };
});
test.afterEach.always(async (t) => { await t.context.close(); });

async function call({ url }: Context, method: string, path: string, body?: unknown) {
  const response = await fetch(`${url}/api/v1/${path}`, body === undefined
    ? { method } : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return { status: response.status, json: await response.json() as any };
}

const at = new Date('2026-11-25T02:40:34.123Z');

test('what is at risk is answered with counts, replicas, and what is being done', async (t) => {
  const job = makeJob();
  t.context.parts.atRisk = {
    total: 1, byKind: { under_replicated: 1, no_quorum: 0, unavailable: 2 },
    items: [{
      repository: 'org/repo', trashedName: null, repositoryId: idOf('org/repo'), kind: 'under_replicated', configured: 3, quorum: 2, current: 2, since: at,
      replicas: [{ node: 'node2', state: 'outdated', reachable: true, generation: 4, reason: 'missed a commit', changedAt: at }], jobs: [job],
    }],
  };
  const { status, json } = await call(t.context, 'GET', 'at-risk?kind=under_replicated&after=org/a&limit=5');
  t.is(status, 200);
  t.like(json, { total: 1, byKind: { under_replicated: 1, no_quorum: 0, unavailable: 2 } });
  t.like(json.items[0], { repository: 'org/repo', repositoryId: idOf('org/repo'), since: at.toISOString(), quorum: 2 });
  t.deepEqual(json.items[0].replicas, [{ node: 'node2', state: 'outdated', reachable: true, generation: 4, reason: 'missed a commit', changedAt: at.toISOString() }]);
  t.is(json.items[0].jobs[0].id, job.id);
  t.deepEqual(t.context.parts.calls, [['atRisk.list', { kind: 'under_replicated', after: 'org/a', limit: 5 }]]);
});

test('a kind of risk that is none is refused, with those there are', async (t) => {
  const { status, json } = await call(t.context, 'GET', 'at-risk?kind=fire');
  t.is(status, 400);
  t.regex(json.fields.problem, /under_replicated, no_quorum, unavailable/);
});

test('a verification answers with what each replica has, and isn\'t full unless it is asked to be', async (t) => {
  t.context.parts.verify = async () => [equal('node1'), { ...equal('node2'), result: 'corrupt', detail: 'a pack is damaged' }];
  const { status, json } = await call(t.context, 'POST', 'verifications', { repository: 'org/repo.git' });
  t.is(status, 200);
  t.deepEqual(json, {
    repository: 'org/repo', full: false,
    replicas: [equal('node1'), { ...equal('node2'), result: 'corrupt', detail: 'a pack is damaged' }],
  });
  await call(t.context, 'POST', 'verifications', { repository: 'org/repo', full: true });
  t.deepEqual(t.context.parts.calls, [['verifyRepository', 'org/repo', false], ['verifyRepository', 'org/repo', true]]);
});

test('a verification of what isn\'t there, or isn\'t a name, is refused', async (t) => {
  t.like(await call(t.context, 'POST', 'verifications', { repository: 'nothing' }), { status: 404, json: { code: 'repository_not_found' } });
  t.like(await call(t.context, 'POST', 'verifications', { repository: '../etc' }), { status: 400, json: { code: 'bad_repository_name' } });
  t.like(await call(t.context, 'POST', 'verifications', { repository: 'org/repo', full: 'yes' }), { status: 400, json: { code: 'bad_request' } });
});

test('findings are told open or resolved, also of directories that have no name', async (t) => {
  const open = { id: nextId(), node: 'node1', repository: idOf('x'), repositoryName: null, kind: 'unknown', detail: 'a directory', foundAt: at, resolvedAt: null } as const;
  const resolved = { id: nextId(), node: 'node2', repository: idOf('org/repo'), repositoryName: 'org/repo', kind: 'corrupt', detail: 'a pack', foundAt: at, resolvedAt: at } as const;
  t.context.parts.findings = [open, resolved];
  const ids = async (query: string) => (await call(t.context, 'GET', `findings${query}`)).json.items.map((item: { id: string }) => item.id);
  t.deepEqual(await ids(''), [resolved.id, open.id]);
  t.deepEqual(await ids('?open=true'), [open.id]);
  t.deepEqual(await ids('?open=false'), [resolved.id]);
  t.deepEqual((await call(t.context, 'GET', 'findings?open=true')).json.items[0], {
    id: open.id, node: 'node1', repository: null, repositoryId: idOf('x'), kind: 'unknown', detail: 'a directory', foundAt: at.toISOString(), resolvedAt: null,
  });
  t.like(await call(t.context, 'GET', 'findings?open=1'), { status: 400, json: { fields: { problem: 'querystring/open must be equal to one of the allowed values: true, false' } } });
});

test('transactions are listed, shown and settled', async (t) => {
  const decided = { id: nextId(), batch: nextId(), repository: 'org/repo', repositoryId: idOf('org/repo'), outcome: 'commit', generation: 5, decidedBy: 'c1', decidedAt: at, promises: [] } as const;
  const doubted = { id: nextId(), batch: nextId(), repository: null, repositoryId: idOf('gone'), outcome: 'in_doubt', generation: null, decidedBy: null, decidedAt: null, promises: [{ node: 'node1', ageMs: 5.5 }] } as const;
  t.context.parts.transactions = [{ ...decided, promises: [] }, { ...doubted, promises: [...doubted.promises] }];
  t.like((await call(t.context, 'GET', 'transactions')).json, { next: null, items: [{ id: doubted.id }, { id: decided.id }] });
  t.deepEqual((await call(t.context, 'GET', 'transactions?outcome=in_doubt')).json.items, [doubted]);
  t.deepEqual((await call(t.context, 'GET', `transactions/${decided.id}`)).json, { ...decided, decidedAt: at.toISOString() });
  t.like(await call(t.context, 'GET', `transactions/${nextId()}`), { status: 404, json: { code: 'transaction_not_found' } });
  t.like(await call(t.context, 'POST', `transactions/${decided.id}/settle`), { status: 200, json: { outcome: 'commit' } });
  t.like(await call(t.context, 'POST', `transactions/${nextId()}/settle`), { status: 404, json: { code: 'transaction_not_found' } });
});

const loss = { repository: 'org/repo', source: 'node2', acceptedBy: 'ann', reason: 'fire' };

test('a data loss is a plan unless dryRun is false', async (t) => {
  t.like(await call(t.context, 'POST', 'data-losses', loss), { status: 200, json: { id: null, dryRun: true, acceptedAt: null, lost: { generations: 4 }, after: { generation: 46, digest: DIGEST } } });
  t.like(await call(t.context, 'POST', 'data-losses', { ...loss, dryRun: true }), { json: { dryRun: true } });
  t.like(t.context.parts.calls, [['dataLoss.accept', { ...loss, dryRun: true }], ['dataLoss.accept', { ...loss, dryRun: true }]]);
  const { json } = await call(t.context, 'POST', 'data-losses', { ...loss, dryRun: false });
  t.is(json.dryRun, false);
  t.is(typeof json.id, 'string');
  t.is(typeof json.acceptedAt, 'string');
  t.is(json.replicas.length, 2);
});

for (const [what, body] of [
  ['who accepts it', { ...loss, acceptedBy: ' ' }], ['a reason', { ...loss, reason: '' }], ['a source', { ...loss, source: undefined }],
  ['a dryRun that is true or false', { ...loss, dryRun: 'no' }], ['a reason that fits', { ...loss, reason: 'x'.repeat(501) }],
] as const) {
  test(`a data loss without ${what} is refused`, async (t) => {
    t.like(await call(t.context, 'POST', 'data-losses', body), { status: 400, json: { code: 'bad_request' } });
    t.deepEqual(t.context.parts.calls, []);
  });
}

test('accepted losses are listed', async (t) => {
  const { dryRun: _dryRun, replicas: _replicas, lost, repositoryId, ...record } = planOf({ ...loss, dryRun: false });
  t.context.parts.losses = [{ ...record, id: record.id!, acceptedAt: at, repository: repositoryId, repositoryName: 'org/repo', sourceGeneration: 41 }];
  t.like((await call(t.context, 'GET', 'data-losses')).json, {
    next: null, items: [{ id: record.id, repository: 'org/repo', repositoryId, dryRun: false, lost, replicas: [], acceptedAt: at.toISOString(), source: 'node2' }],
  });
});

test('only the documented methods are there', async (t) => {
  for (const [method, path] of [['DELETE', 'repair-jobs'], ['PUT', 'verifications'], ['DELETE', 'data-losses']] as const) {
    t.is((await call(t.context, method, path)).status, 404);
  }
});
