import type { ChildProcess } from 'node:child_process';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import anyTest, { type TestFn } from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { equal, FakeParts, idOf, makeJob, nextId, serve } from '../http/operations-under-test.ts';
import { describeJob } from '../http/repair-jobs.ts';
import { runCli } from './run-cli.ts';

// The real command against the real REST service, whose parts live in memory.

interface Context { parts: FakeParts; url: string; close(): Promise<void> }
const test = anyTest as TestFn<Context>;

test.beforeEach(async (t) => {
  const parts = new FakeParts();
  t.context = { parts, ...await serve(parts) };
});
test.afterEach.always(async (t) => { await t.context.close(); });

const lines = (text: string) => text.trimEnd().split('\n');
const at = new Date('2026-11-25T02:40:34.123Z');

test('repair list shows what is open, without colours in a pipe', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [
    makeJob({ state: 'running', way: 'fetch', source: 'node1', round: 2, attempt: 1, objects: 1_200, totalObjects: 5_000, bytes: 12 * 1024 ** 2, totalBytes: 27 * 1024 ** 2 }),
    makeJob({ node: 'node3', state: 'done' }),
  ];
  const { code, stdout, stderr } = await runCli(['repair', 'list'], { url });
  t.is(code, 0);
  t.is(stderr, '');
  t.is(lines(stdout).length, 2);
  t.regex(stdout, /^[0-9a-f]{32} +org\/repo +node2 +outdated +running +1 +1,200 of 5,000 objects, 12 MiB of 27 MiB +fetch from node1, round 2$/m);
  t.notRegex(stdout, /\x1b/);
});

test('maintenance run asks each node, or the one that is named, and says who could not be asked', async (t) => {
  const { parts, url } = t.context;
  const all = await runCli(['maintenance', 'run', 'org/repo'], { url });
  t.is(all.code, 0);
  t.regex(all.stdout, /^node3 +yes$/m);
  const one = await runCli(['maintenance', 'run', 'org/repo', '--node', 'node2', '--json'], { url });
  t.deepEqual(JSON.parse(one.stdout), { repository: 'org/repo', replicas: [{ node: 'node2', asked: true, code: null }] });
  parts.asked[2] = { node: 'node3', asked: false, code: 'node_unreachable' };
  const some = await runCli(['maintenance', 'run', 'org/repo'], { url });
  t.is(some.code, 1);
  t.regex(some.stdout, /^node3 +no: node_unreachable$/m);
  t.deepEqual(parts.calls.filter(([name]) => name === 'maintenance.request').map(([, ...given]) => given), [['org/repo', undefined], ['org/repo', 'node2'], ['org/repo', undefined]]);
});

test('repair list passes its filters on, and tells where the next page begins', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob(), makeJob(), makeJob()];
  const first = await runCli(['repair', 'list', '--state', 'all', '--repository', 'org/repo.git', '--node', 'node2', '--limit', '2'], { url });
  t.like(parts.calls[0]![1], { state: undefined, repository: idOf('org/repo'), node: 'node2' });
  t.is(lines(first.stdout).length, 3);
  const after = /--after ([0-9a-f]{32})/.exec(first.stderr)![1]!;
  const second = await runCli(['repair', 'list', '--state', 'all', '--limit', '2', '--after', after], { url });
  t.regex(second.stdout, new RegExp(`^${parts.jobs[0]!.id} `, 'm'));
  t.is(second.stderr, '');
});

test('repair list says when there is nothing', async (t) => {
  t.like(await runCli(['repair', 'list'], t.context), { code: 0, stdout: 'No open repair jobs.\n' });
});

test('repair list --json prints REST\'s document', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob()];
  const { code, stdout } = await runCli(['repair', 'list', '--json'], { url });
  t.is(code, 0);
  t.deepEqual(JSON.parse(stdout), await (await fetch(`${url}/api/v1/repair-jobs?state=open`)).json());
});

test('repair show tells everything about a job, and its status whether it keeps failing', async (t) => {
  const { parts, url } = t.context;
  const job = makeJob({ attempt: 3, lastError: 'repair_failed: the digests differ', nextAttemptAt: new Date(Date.now() + 3_600_000), startedAt: at });
  parts.jobs = [job];
  const failing = await runCli(['repair', 'show', job.id], { url });
  t.is(failing.code, 1);
  t.regex(failing.stdout, /^state +failing$/m);
  t.regex(failing.stdout, /^last error +repair_failed: the digests differ$/m);
  t.regex(failing.stdout, /^reason +outdated: missed a commit$/m);
  t.regex(failing.stdout, /^started +2026-11-25 02:40:34 UTC \(.* ago\)$/m);
  Object.assign(job, { state: 'running', way: 'heal', source: 'node1' });
  const running = await runCli(['repair', 'show', job.id], { url });
  t.is(running.code, 0);
  t.regex(running.stdout, /^progress +\[░+\] +\? %$/m);
  const json = await runCli(['repair', 'show', job.id, '--json'], { url });
  t.like(JSON.parse(json.stdout), { id: job.id, state: 'running', way: 'heal', lastError: 'repair_failed: the digests differ' });
});

test('a job that isn\'t there is a mistake in the command; with --json the error is the document', async (t) => {
  const id = nextId();
  const { code, stdout, stderr } = await runCli(['repair', 'show', id, '--json'], t.context);
  t.is(code, 2);
  t.deepEqual(JSON.parse(stdout), { code: 'job_not_found', message: 'no such repair job', retry: false, fields: { job: id } });
  t.is(stderr, `error: no such repair job (job_not_found); job: ${id}\n`);
});

test('repair run follows its jobs to their end, and tells each change on standard error', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob(), makeJob({ node: 'node3' })];
  parts.requested = structuredClone(parts.jobs);
  parts.onJob = (job) => Object.assign(job, job.state === 'waiting'
    ? { state: 'running', way: 'fetch', source: 'node1', round: 1, attempt: 1, startedAt: at } : { state: 'done', bytes: 2048, finishedAt: new Date(at.getTime() + 3_000) });
  const { code, stdout, stderr } = await runCli(['repair', 'run', 'org/repo', '--node', 'node2'], { url });
  t.is(code, 0);
  t.deepEqual(parts.calls[0], ['repairs.request', 'org/repo', 'node2']);
  t.deepEqual(lines(stderr).map((line) => line.replace(/^\S+ /, '')), [
    'org/repo on node2: waiting, waits to be taken up', 'org/repo on node3: waiting, waits to be taken up',
    'org/repo on node2: running, fetch from node1, round 1', 'org/repo on node3: running, fetch from node1, round 1',
    'org/repo on node2: done, fetch, 3.0 s (2.0 KiB)', 'org/repo on node3: done, fetch, 3.0 s (2.0 KiB)',
  ]);
  t.is(lines(stdout).length, 3);
  t.notRegex(stdout + stderr, /\x1b/);
});

test('repair run ends with 1 when a job is cancelled, or keeps failing, or time is up', async (t) => {
  const { parts, url } = t.context;
  const run = async (change: object, ...args: string[]) => {
    parts.jobs = [makeJob()];
    parts.requested = structuredClone(parts.jobs);
    parts.onJob = (job) => Object.assign(job, change);
    return (await runCli(['repair', 'run', 'org/repo', ...args], { url })).code;
  };
  t.is(await run({ state: 'cancelled', finishedAt: at }), 1);
  t.is(await run({ attempt: 2, lastError: 'node_unreachable' }, '--attempts', '2'), 1);
  t.is(await run({ state: 'running' }, '--timeout', '1s'), 1);
  t.is(await run({ state: 'done', finishedAt: at }), 0);
});

test('repair run --json prints the jobs as they ended, and nothing else on standard output', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob()];
  parts.requested = structuredClone(parts.jobs);
  parts.onJob = (job) => Object.assign(job, { state: 'done', finishedAt: at });
  const { code, stdout } = await runCli(['repair', 'run', 'org/repo', '--json'], { url });
  t.is(code, 0);
  t.like(JSON.parse(stdout), { items: { 0: { id: parts.jobs[0]!.id, state: 'done' }, length: 1 } });
});

test('repair run --no-wait only opens the jobs', async (t) => {
  const { parts, url } = t.context;
  parts.requested = [makeJob()];
  const { code, stdout, stderr } = await runCli(['repair', 'run', 'org/repo', '--no-wait'], { url });
  t.is(code, 0);
  t.regex(stdout, /waits to be taken up/);
  t.is(stderr, '');
});

test('repair run says when there is nothing to repair', async (t) => {
  t.like(await runCli(['repair', 'run', 'org/repo'], t.context), { code: 0, stdout: 'Nothing to repair: every replica of org/repo is current.\n' });
});

test('repair run goes on with another controller when the one it asked is gone', async (t) => {
  const { parts, url, close } = t.context;
  parts.jobs = [makeJob({ state: 'running' })];
  parts.requested = structuredClone(parts.jobs);
  const other = new FakeParts();
  other.jobs = structuredClone(parts.jobs);
  other.onJob = (job) => Object.assign(job, { state: 'done', finishedAt: at });
  const second = await serve(other);
  let gone: Promise<void> | undefined;
  parts.onJob = () => { gone ??= close(); };
  t.is((await runCli(['repair', 'run', 'org/repo', '--controller', `${url},${second.url}`])).code, 0);
  await gone;
  await second.close();
});

test('repair watch tells each change until nothing is open', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob()];
  parts.onJob = (job) => Object.assign(job, job.state === 'waiting' ? { state: 'running', way: 'fetch', source: 'node1', round: 1 } : { state: 'done', finishedAt: at });
  const { code, stdout } = await runCli(['repair', 'watch'], { url });
  t.is(code, 0);
  t.deepEqual(lines(stdout).map((line) => line.replace(/^20\S+ /, '')), [
    'org/repo on node2: running, fetch from node1, round 1', 'org/repo on node2: done, fetch', 'Nothing is open.',
  ]);
});

test('repair watch --json prints a job for each change, and a renewed lease is none', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob({ state: 'running', way: 'fetch' })];
  let looks = 0;
  parts.onJob = (job) => {
    looks++;
    Object.assign(job, { leaseUntil: new Date(looks), bytes: looks < 3 ? 0 : 7, ...(looks < 5 ? {} : { state: 'done', finishedAt: at }) });
  };
  const { code, stdout } = await runCli(['repair', 'watch', '--json'], { url });
  t.is(code, 0);
  t.deepEqual(lines(stdout).map((line) => JSON.parse(line)).map((job) => [job.state, job.progress.bytes]), [['running', 0], ['running', 7], ['done', 7]]);
});

test('repair watch with nothing open ends at once', async (t) => {
  t.like(await runCli(['repair', 'watch'], t.context), { code: 0, stdout: 'Nothing is open.\n' });
});

test('repair cancel and retry say what they did; a finished job is refused', async (t) => {
  const { parts, url } = t.context;
  const job = makeJob();
  parts.jobs = [job];
  t.like(await runCli(['repair', 'retry', job.id], { url }), { code: 0, stdout: 'The job for org/repo on node2 is due now.\n' });
  t.regex((await runCli(['repair', 'cancel', job.id], { url })).stdout, /^Cancelled\. The replica of org\/repo on node2 stays outdated/);
  t.like(await runCli(['repair', 'cancel', job.id], { url }), { code: 1, stderr: `error: the repair job is finished (job_finished); job: ${job.id}, state: cancelled\n` });
});

test('verify tells what each replica has, and ends with 1 when something isn\'t equal', async (t) => {
  const { parts, url } = t.context;
  const well = await runCli(['verify', 'org/repo'], { url });
  t.is(well.code, 0);
  t.regex(well.stdout, /^node1 +equal +current +3 +121 KiB +12 ms$/m);
  parts.verify = async () => [equal('node1'), { ...equal('node2'), result: 'corrupt', detail: 'pack-1 is damaged' }];
  const ill = await runCli(['verify', 'org/repo', '--full'], { url });
  t.is(ill.code, 1);
  t.regex(ill.stdout, /^node2 +corrupt .* pack-1 is damaged$/m);
  t.deepEqual(parts.calls, [['verifyRepository', 'org/repo', false], ['verifyRepository', 'org/repo', true]]);
  t.like(JSON.parse((await runCli(['verify', 'org/repo', '--json'], { url })).stdout), { repository: 'org/repo', full: false, replicas: { 1: { result: 'corrupt' } } });
});

test('verify --all looks at every repository, and lists only what isn\'t equal', async (t) => {
  const { parts, url } = t.context;
  parts.repositories = Array.from({ length: 1_003 }, (_, i) => `r${String(i).padStart(4, '0')}`);
  parts.verify = async (name) => [equal('node1'), name === 'r1001' ? { ...equal('node2'), result: 'missing', detail: 'no directory' } : equal('node2')];
  const { code, stdout, stderr } = await runCli(['verify', '--all'], { url });
  t.is(code, 1);
  t.is(stderr, '');
  t.is(lines(stdout).length, 3);
  t.regex(stdout, /^r1001 +node2 +missing .* no directory$/m);
  t.is(lines(stdout).at(-1), '1,003 repositories verified, 2,005 of 2,006 replicas equal.');
});

test('verify --all passes over a repository that was removed meanwhile', async (t) => {
  const { parts, url } = t.context;
  parts.repositories = ['a', 'b'];
  parts.verify = async (name) => {
    if (name === 'a') throw new TrivetError('repository_not_found', { repository: name });
    return [equal('node1')];
  };
  t.like(await runCli(['verify', '--all'], { url }), { code: 0, stdout: '1 repository verified, 1 of 1 replica equal.\n' });
});

test('verify --all goes on after a repository that could not be verified, and ends with 1', async (t) => {
  const { parts, url } = t.context;
  parts.repositories = ['a', 'b', 'c'];
  parts.verify = async (name) => {
    if (name === 'b') throw new Error('a bug');
    return [equal('node1')];
  };
  t.like(await runCli(['verify', '--all'], { url }), {
    code: 1, stdout: 'b could not be verified: internal error (internal)\n2 repositories verified, 2 of 2 replicas equal. 1 not verified.\n',
  });
  const { code, stdout } = await runCli(['verify', '--all', '--json'], { url });
  t.is(code, 1);
  t.like(JSON.parse(stdout), { items: { 0: { repository: 'a' }, 1: { repository: 'c' } }, failed: { 0: { repository: 'b', error: { code: 'internal' } } } });
});

test('verify --all asks again when the cluster is silent for a moment', async (t) => {
  const { parts, url } = t.context;
  parts.repositories = ['a'];
  let silent = true;
  parts.verify = async () => {
    if (silent) {
      silent = false;
      throw new TrivetError('store_unavailable');
    }
    return [equal('node1')];
  };
  t.is((await runCli(['verify', '--all'], { url })).code, 0);
  t.is(parts.calls.length, 2);
});

test('verify --all that is broken off tells what it found so far', async (t) => {
  const { parts, url } = t.context;
  parts.repositories = ['a', 'b', 'c'];
  let child: ChildProcess | undefined;
  parts.verify = async (name) => {
    if (name === 'c') {
      const ended = new Promise((done) => { child!.once('close', done); });
      child!.kill('SIGINT');
      await ended;
    }
    return [{ ...equal('node1'), result: 'diverged', detail: 'other refs' }];
  };
  const { code, stdout } = await runCli(['verify', '--all'], { url, onStart: (started) => { child = started; } });
  t.is(code, 130);
  t.regex(stdout, /^a +node1 +diverged/m);
  t.regex(stdout, /^b +node1 +diverged/m);
  t.regex(stdout, /^2 repositories verified, 0 of 2 replicas equal\. 1 not verified\.$/m);
});

test('at-risk ends with 1 when something is, and tells since when and what is done', async (t) => {
  const { parts, url } = t.context;
  t.like(await runCli(['at-risk'], { url }), { code: 0, stdout: 'Nothing is at risk.\n' });
  const since = new Date(Date.now() - 300_500);
  parts.atRisk = {
    total: 2, byKind: { under_replicated: 1, no_quorum: 0, unavailable: 1 },
    items: [{
      repository: 'org/repo', trashedName: null, repositoryId: idOf('org/repo'), kind: 'under_replicated', configured: 3, quorum: 2, current: 2, since,
      replicas: [
        { node: 'node1', state: 'current', reachable: true, generation: 5, reason: null, changedAt: at },
        { node: 'node2', state: 'outdated', reachable: true, generation: 4, reason: 'missed a commit', changedAt: at },
        { node: 'node3', state: 'current', reachable: false, generation: 5, reason: null, changedAt: at },
      ],
      jobs: [makeJob({ state: 'running', way: 'fetch', source: 'node1', round: 1 })],
    }],
  };
  const { code, stdout, stderr } = await runCli(['at-risk', '--limit', '1'], { url });
  t.is(code, 1);
  t.regex(stdout, /^org\/repo +under_replicated +2 of 3 +5 min( \d+ s)? +node2 outdated \(missed a commit\), job running: fetch from node1, round 1; node3 unreachable$/m);
  t.is(lines(stdout).at(-1), '2 repositories at risk: 1 unavailable, 0 without a quorum, 1 under-replicated.');
  t.is(stderr, 'There may be more: --after org/repo\n');
  await runCli(['at-risk', '--kind', 'no_quorum', '--after', 'org/repo', '--json'], { url });
  t.deepEqual(parts.calls.at(-1), ['atRisk.list', { kind: 'no_quorum', after: 'org/repo', limit: 100 }]);
});

test('cluster status tells what is wrong, where, and what is being done, and ends with 1 unless all is well', async (t) => {
  const { parts, url } = t.context;
  const well = await runCli(['cluster', 'status'], { url });
  t.is(well.code, 0);
  t.is(lines(well.stdout)[0], 'The cluster is ok.');
  t.regex(well.stdout, /^node1 +active +1 replica +50 B of 100 B/m);
  t.true(well.stdout.split('\n').every((line) => line.length < 120), well.stdout);
  const since = new Date(Date.now() - 300_500).toISOString();
  parts.status = {
    ...parts.status, verdict: 'degraded',
    problems: [{ severity: 'degraded', code: 'node_cordoned', text: 'node1 is out of service: node_unreachable', node: 'node1', repository: null }],
    nodes: [{ ...parts.status.nodes[0]!, state: 'cordoned', trouble: 'node_unreachable' }],
    atRisk: { total: 2, byKind: { under_replicated: 2, no_quorum: 0, unavailable: 0 }, first: [{ repository: 'org/repo', kind: 'under_replicated', current: 2, configured: 3, since, repairing: true }] },
    repairs: { running: 1, waiting: 0, first: [describeJob(makeJob({ state: 'running', way: 'fetch', source: 'node3', round: 1, bytes: 5, totalBytes: 10 }))] },
  };
  const degraded = await runCli(['cluster', 'status'], { url });
  t.is(degraded.code, 1);
  t.deepEqual(lines(degraded.stdout).slice(0, 2), ['The cluster is degraded:', '  node1 is out of service: node_unreachable']);
  t.regex(degraded.stdout, /^org\/repo +under_replicated +2 of 3 +5 min( \d+ s)? +open$/m);
  t.regex(degraded.stdout, /^… and 1 more: trivet at-risk$/m);
  t.regex(degraded.stdout, /^org\/repo +node2 +running +\[█{10}░{10}\] +50 %/m);
  t.deepEqual(JSON.parse((await runCli(['cluster', 'status', '--json'], { url })).stdout), parts.status);
});

test('cluster status --watch tells anew what is wrong when that changes, until Ctrl-C', async (t) => {
  const { parts, url } = t.context;
  let child: ChildProcess | undefined;
  const problem = { severity: 'critical', code: 'unavailable', text: 'one repository can be neither read nor pushed to', node: null, repository: null } as const;
  const running = runCli(['cluster', 'status', '--watch'], { url, onStart: (started) => {
    child = started;
    started.stdout!.on('data', (chunk: Buffer) => {
      if (String(chunk).includes('is ok')) parts.status = { ...parts.status, verdict: 'critical', problems: [problem] };
      if (String(chunk).includes('neither read')) child!.kill('SIGINT');
    });
  } });
  const { code, stdout } = await running;
  t.is(code, 130);
  t.deepEqual(lines(stdout).filter((line) => line.startsWith('The cluster')), ['The cluster is ok.', 'The cluster is critical:']);
});

test('findings end with 1 when one is open', async (t) => {
  const { parts, url } = t.context;
  parts.findings = [{ id: nextId(), node: 'node1', repository: idOf('x'), repositoryName: null, kind: 'unknown', detail: 'SQL does not know it', foundAt: at, resolvedAt: null }];
  const open = await runCli(['findings'], { url });
  t.is(open.code, 1);
  t.regex(open.stdout, /^node1 +\([0-9a-f]{32}\) +unknown .* no +SQL does not know it$/m);
  t.like(await runCli(['findings', '--state', 'resolved'], { url }), { code: 0, stdout: 'No resolved findings.\n' });
  t.is((await runCli(['findings', '--state', 'all', '--json'], { url })).code, 1);
});

test('transactions are listed, shown and settled', async (t) => {
  const { parts, url } = t.context;
  const id = nextId();
  parts.transactions = [{ id, batch: nextId(), repository: null, repositoryId: idOf('gone'), outcome: 'in_doubt', generation: null, decidedBy: null, decidedAt: null, promises: [{ node: 'node1', ageMs: 4_200 }] }];
  const list = await runCli(['transactions', 'list', '--outcome', 'in_doubt'], { url });
  t.is(list.code, 0);
  t.regex(list.stdout, new RegExp(`^${id} +[0-9a-f]{32} \\(removed\\) +in_doubt +node1 \\(for 4\\.2 s\\)$`, 'm'));
  t.regex((await runCli(['transactions', 'show', id], { url })).stdout, /^promised on +node1 \(for 4\.2 s\)$/m);
  t.is((await runCli(['transactions', 'settle', id], { url })).code, 1);
  Object.assign(parts.transactions[0]!, { outcome: 'abort', decidedBy: 'c1', decidedAt: at, promises: [] });
  const settled = await runCli(['transactions', 'settle', id], { url });
  t.is(settled.code, 0);
  t.regex(settled.stdout, /^decided +2026-11-25 02:40:34 UTC by c1$/m);
  t.is((await runCli(['transactions', 'show', nextId()], { url })).code, 2);
});

test('accept-data-loss only plans, and says in plain words what would be lost', async (t) => {
  const { parts, url } = t.context;
  const { code, stdout } = await runCli(['accept-data-loss', 'org/repo', '--source', 'node2', '--reason', 'fire', '--by', 'ann'], { url });
  t.is(code, 0);
  t.deepEqual(parts.calls, [['dataLoss.accept', { repository: 'org/repo', source: 'node2', reason: 'fire', acceptedBy: 'ann', dryRun: true }]]);
  t.regex(stdout, /^This is only a plan; nothing has been changed\.$/m);
  t.regex(stdout, /^Generations 42 to 45 would be given up: the refs moved by 4 acknowledged pushes\.$/m);
  t.regex(stdout, /^node1 +45 +b{12} +diverged$/m);
  t.regex(stdout, /--yes-lose-data/);
});

test('accept-data-loss does it only when it is told so, and prints the record', async (t) => {
  const { parts, url } = t.context;
  const { code, stdout } = await runCli(['accept-data-loss', 'org/repo', '--source', 'node2', '--reason', 'fire', '--yes-lose-data'], { url });
  t.is(code, 0);
  t.like(parts.calls[0]![1], { dryRun: false });
  t.regex(String((parts.calls[0]![1] as { acceptedBy: string }).acceptedBy), /\S/);
  t.regex(stdout, /^Done\. Recorded as [0-9a-f]{32}, /m);
  t.regex(stdout, /^Generations 42 to 45 were given up: /m);
  t.notRegex(stdout, /--yes-lose-data/);
});

test('accept-data-loss that the cluster refuses ends with 1', async (t) => {
  const { parts, url } = t.context;
  parts.accept = async () => { throw new TrivetError('source_unsuitable', { problem: 'a replica has the newest state' }); };
  const { code, stderr } = await runCli(['accept-data-loss', 'org/repo', '--source', 'node2', '--reason', 'fire'], { url });
  t.is(code, 1);
  t.regex(stderr, /source_unsuitable.*a replica has the newest state/);
});

test('a wrong TRIVET_CONTROLLER_URL is a mistake; --controller goes before it', async (t) => {
  const wrong = { environment: { TRIVET_CONTROLLER_URL: 'one:8081' } };
  t.like(await runCli(['at-risk'], wrong), { code: 2, stderr: 'error: TRIVET_CONTROLLER_URL is invalid: not an http(s) URL: one:8081\n' });
  t.is((await runCli(['at-risk', '--controller', t.context.url], wrong)).code, 0);
  t.is((await runCli(['--controller', t.context.url, 'at-risk'], wrong)).code, 0);
});

async function answering(answer: RequestListener): Promise<{ url: string; close(): void }> {
  const server = createServer(answer);
  await new Promise<void>((done) => { server.listen(0, '127.0.0.1', done); });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('a cluster that can\'t be reached, or can\'t ask its store, ends with 3', async (t) => {
  const web = await answering((_request, response) => { response.end('<h1>It works</h1>'); });
  await t.context.close();
  const nobody = await runCli(['at-risk', '--json'], t.context);
  t.is(nobody.code, 3);
  t.is(nobody.stdout, '');
  t.is(nobody.stderr, `error: can't reach the cluster: ${t.context.url} refuses connections\n`);
  t.like(await runCli(['at-risk'], web), { code: 3, stdout: '' });
  web.close();
});

test('an internal error ends with 1', async (t) => {
  t.context.parts.verify = async () => { throw new Error('a bug'); };
  const { code, stderr } = await runCli(['verify', 'org/repo'], t.context);
  t.is(code, 1);
  t.is(stderr, 'error: internal error (internal)\n');
});

test('several controllers are tried in order', async (t) => {
  const dead = await answering(() => {});
  dead.close();
  t.is((await runCli(['at-risk', '--controller', `${dead.url},${t.context.url}`])).code, 0);
});

test('a reader that has had enough ends the command quietly', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = Array.from({ length: 900 }, () => makeJob());
  const { stderr } = await runCli(['repair', 'list', '--limit', '1000', '--json'], { url, onOutput: (child) => { child.stdout!.destroy(); } });
  t.is(stderr, '');
});

test('Ctrl-C ends a command whose question has no answer yet', async (t) => {
  let child: ChildProcess | undefined;
  const silent = await answering(() => { child!.kill('SIGINT'); });
  const { code, stdout, stderr } = await runCli(['at-risk'], { url: silent.url, onStart: (started) => { child = started; } });
  silent.close();
  t.is(code, 130);
  t.is(stdout + stderr, '');
});

test('Ctrl-C ends a look at jobs, and it is said that they go on', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob({ state: 'running' })];
  parts.requested = structuredClone(parts.jobs);
  const interrupted = (...args: string[]) => {
    let once = false;
    // A second one would end the process at once.
    const onOutput = (child: ChildProcess) => { once ||= child.kill('SIGINT'); };
    return runCli(args, { url, onOutput });
  };
  t.like(await interrupted('repair', 'watch', '--follow', '--json'), { code: 130, stderr: 'Stopped looking; the jobs go on.\n' });
  const run = await interrupted('repair', 'run', 'org/repo');
  t.is(run.code, 130);
  t.true(run.stderr.endsWith(`Stopped looking; the repair goes on. See what becomes of it:\n  trivet repair show ${parts.jobs[0]!.id}\n`));
});
