import anyTest, { type TestFn } from 'ava';
import { FakeParts, idOf, makeJob, nextId, serve } from './operations-under-test.ts';

interface Context { parts: FakeParts; url: string; close(): Promise<void> }
const test = anyTest as TestFn<Context>;

test.beforeEach(async (t) => {
  const parts = new FakeParts();
  t.context = { parts, ...await serve(parts) };
});
test.afterEach.always(async (t) => { await t.context.close(); });

async function get({ url }: Context, path: string) {
  const response = await fetch(`${url}/api/v1/repair-jobs${path}`);
  return { status: response.status, json: await response.json() as any };
}

async function post({ url }: Context, path: string, body?: unknown) {
  const response = await fetch(`${url}/api/v1/repair-jobs${path}`, body === undefined
    ? { method: 'POST' } : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return { status: response.status, json: await response.json() as any };
}

test('a job is shown with names, times in UTC, and its progress together', async (t) => {
  const at = new Date('2026-11-25T02:40:34.123Z');
  const job = makeJob({
    state: 'running', way: 'fetch', source: 'node1', round: 2, attempt: 1, objects: 5, totalObjects: 10, bytes: 1_000, totalBytes: null,
    holder: 'controller', leaseUntil: at, nextAttemptAt: at, createdAt: at, startedAt: at, lastError: 'node_unreachable',
  });
  t.context.parts.jobs = [job];
  const { status, json } = await get(t.context, `/${job.id}`);
  t.is(status, 200);
  t.deepEqual(json, {
    id: job.id, repository: 'org/repo', repositoryId: idOf('org/repo'), node: 'node2', source: 'node1', reason: 'outdated',
    detail: 'missed a commit', state: 'running', way: 'fetch', round: 2, attempt: 1,
    progress: { objects: 5, totalObjects: 10, bytes: 1_000, totalBytes: null }, holder: 'controller',
    leaseUntil: at.toISOString(), nextAttemptAt: at.toISOString(), lastError: 'node_unreachable',
    createdAt: at.toISOString(), startedAt: at.toISOString(), finishedAt: null,
  });
});

test('pages follow one another by `next`, the newest first, until there is none', async (t) => {
  t.context.parts.jobs = Array.from({ length: 5 }, () => makeJob());
  const seen: string[] = [];
  let after = '';
  for (const expected of [2, 2, 1]) {
    const { json } = await get(t.context, `?limit=2${after}`);
    t.is(json.items.length, expected);
    seen.push(...json.items.map((job: { id: string }) => job.id));
    t.is(json.next, expected === 2 ? seen.at(-1) : null);
    after = `&after=${json.next}`;
  }
  t.deepEqual(seen, t.context.parts.jobs.map(({ id }) => id).reverse());
});

test('a page that is exactly full has no next one', async (t) => {
  t.context.parts.jobs = [makeJob(), makeJob()];
  t.is((await get(t.context, '?limit=2')).json.next, null);
});

test('filters reach the store, the repository by its id', async (t) => {
  t.is((await get(t.context, '?state=open&repository=org/repo.git&node=node2')).status, 200);
  t.like(t.context.parts.calls[0]![1], { state: 'open', repository: idOf('org/repo'), node: 'node2', limit: 101 });
});

for (const [query, problem] of [
  ['?limit=0', '`limit` is a whole number from 1 to 1000'],
  ['?limit=1001', '`limit` is a whole number from 1 to 1000'],
  ['?limit=ten', '`limit` is a whole number from 1 to 1000'],
  ['?limit=-1', '`limit` is a whole number from 1 to 1000'],
  ['?limit=1e2', '`limit` is a whole number from 1 to 1000'],
  ['?limit=', '`limit` is a whole number from 1 to 1000'],
  ['?after=first', '`after` is the id that the page before gave as `next`'],
  ['?state=lost', 'querystring/state must be equal to one of the allowed values: open, waiting, running, done, cancelled'],
  ['?colour=red', 'querystring must NOT have additional properties: colour'],
] as const) {
  test(`\`${query}\` is refused, and it is said why`, async (t) => {
    const { status, json } = await get(t.context, query);
    t.is(status, 400);
    t.is(json.code, 'bad_request');
    t.is(json.fields.problem, problem);
    t.deepEqual(t.context.parts.calls, []);
  });
}

test('the limit may be 1000', async (t) => {
  t.is((await get(t.context, '?limit=1000')).status, 200);
});

test('a repository that is no name or not there is told apart', async (t) => {
  t.like(await get(t.context, '?repository=..'), { status: 400, json: { code: 'bad_repository_name' } });
  t.like(await get(t.context, '?repository=org%252Frepo'), { status: 400, json: { code: 'bad_repository_name' } });
  t.like(await get(t.context, '?repository=nothing'), { status: 404, json: { code: 'repository_not_found' } });
});

test('an id that is none, or not there, is told apart', async (t) => {
  t.like(await get(t.context, '/first'), { status: 400, json: { code: 'bad_request' } });
  for (const call of [get(t.context, `/${nextId()}`), post(t.context, `/${nextId()}/cancel`), post(t.context, `/${nextId()}/retry`)]) {
    t.like(await call, { status: 404, json: { code: 'job_not_found' } });
  }
});

test('a request for repair is accepted, and answers with the jobs', async (t) => {
  const job = makeJob();
  t.context.parts.requested = [job];
  const { status, json } = await post(t.context, '', { repository: 'org/repo', node: 'node2' });
  t.is(status, 202);
  t.deepEqual(json.items.map((each: { id: string }) => each.id), [job.id]);
  t.deepEqual(t.context.parts.calls, [['repairs.request', 'org/repo', 'node2']]);
});

test('a request without a node is for every replica', async (t) => {
  t.is((await post(t.context, '', { repository: 'org/repo' })).status, 202);
  t.deepEqual(t.context.parts.calls, [['repairs.request', 'org/repo', undefined]]);
});

for (const [what, body] of [
  ['nothing', {}], ['a number', { repository: 5 }], ['more', { repository: 'org/repo', all: true }],
  ['a node that is none', { repository: 'org/repo', node: '../node' }], ['null', null],
] as const) {
  test(`a request for repair with ${what} is refused`, async (t) => {
    const { status, json } = await post(t.context, '', body);
    t.is(status, 400);
    t.is(json.code, 'bad_request');
    t.deepEqual(t.context.parts.calls, []);
  });
}

test('a job is cancelled once', async (t) => {
  const job = makeJob();
  t.context.parts.jobs = [job];
  t.like(await post(t.context, `/${job.id}/cancel`), { status: 200, json: { id: job.id, state: 'cancelled' } });
  t.like(await post(t.context, `/${job.id}/cancel`), { status: 409, json: { code: 'job_finished' } });
});

test('a job is tried again from the start', async (t) => {
  const job = makeJob({ attempt: 7 });
  t.context.parts.jobs = [job];
  t.like(await post(t.context, `/${job.id}/retry`), { status: 200, json: { id: job.id, attempt: 0 } });
});
