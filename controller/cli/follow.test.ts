import test from 'ava';
import type { JobAnswer } from '../rest/repair-job.ts';
import { Interrupted, Refused, Unreachable } from './faults.ts';
import { followJobs, Patience, type FollowPorts } from './follow.ts';
import { makeJobAnswer } from './job-answer.ts';

const NO_LIMITS = { attempts: 5, timeoutMs: undefined };
const silence = () => new Unreachable([{ url: 'http://one', problem: 'refuses connections' }]);
const gone = () => new Refused(404, { code: 'job_not_found', message: 'no such repair job', retry: false, fields: {} });

/** A world whose time passes only in pauses. `states` are what each look at a job gives, the last one again and again. */
function world(states: Record<string, (Partial<JobAnswer> | Error)[]>) {
  let now = 0;
  const looks: string[] = [];
  const ports: FollowPorts = {
    job: async (id) => {
      looks.push(id);
      const left = states[id]!;
      const next = left.length > 1 ? left.shift()! : left[0]!;
      if (next instanceof Error) throw next;
      return makeJobAnswer({ id, ...next });
    },
    pause: async (ms) => { now += ms; },
    now: () => now,
  };
  return { ports, looks, now: () => now };
}

const started = (...ids: string[]) => ids.map((id) => makeJobAnswer({ id }));
const nothing = () => {};

test('jobs are looked at until all have ended', async (t) => {
  const { ports, looks } = world({ a: [{ state: 'running' }, { state: 'done' }], b: [{ state: 'done' }] });
  const shown: string[] = [];
  const ended = await followJobs(ports, started('a', 'b'), NO_LIMITS, (jobs) => { shown.push(jobs.map((job) => job.state).join()); });
  t.deepEqual(ended.map((job) => job.state), ['done', 'done']);
  t.deepEqual(shown, ['waiting,waiting', 'running,done', 'done,done']);
  t.deepEqual(looks, ['a', 'b', 'a']);
});

test('without jobs there is nothing to wait for', async (t) => {
  t.deepEqual(await followJobs(world({}).ports, [], NO_LIMITS, nothing), []);
});

test('a job that keeps failing is left after so many attempts, and not before', async (t) => {
  const failing = (attempt: number) => ({ state: 'waiting', attempt, lastError: 'repair_failed' }) as const;
  const { ports } = world({ a: [failing(3), failing(4), failing(5), failing(6)] });
  const [left] = await followJobs(ports, [makeJobAnswer({ id: 'a', attempt: 2, lastError: 'older' })], { attempts: 3, timeoutMs: undefined }, nothing);
  t.is(left!.attempt, 5);
});

test('a job that failed before is waited for as long as it runs', async (t) => {
  const { ports } = world({ a: [{ state: 'running', attempt: 9, lastError: 'repair_failed' }, { state: 'done', attempt: 9, lastError: 'repair_failed' }] });
  const [ended] = await followJobs(ports, started('a'), NO_LIMITS, nothing);
  t.is(ended!.state, 'done');
});

test('while one job keeps failing, another is waited for, and the first may still succeed', async (t) => {
  const failing = { state: 'waiting', attempt: 5, lastError: 'repair_failed' } as const;
  const { ports } = world({ a: [failing, failing, { state: 'done' }], b: [{ state: 'running' }, { state: 'running' }, { state: 'running' }, { state: 'done' }] });
  const ended = await followJobs(ports, started('a', 'b'), NO_LIMITS, nothing);
  t.deepEqual(ended.map((job) => job.state), ['done', 'done']);
});

test('nothing is waited for longer than the limit', async (t) => {
  const { ports, now } = world({ a: [{ state: 'running' }] });
  const [left] = await followJobs(ports, started('a'), { attempts: 5, timeoutMs: 1_000 }, nothing);
  t.is(left!.state, 'running');
  t.is(now(), 1_200);
});

test('a job that is gone counts as cancelled', async (t) => {
  const { ports } = world({ a: [gone()] });
  const [ended] = await followJobs(ports, started('a'), NO_LIMITS, nothing);
  t.like(ended, { state: 'cancelled', lastError: 'the job is gone' });
});

test('a cluster that is silent for a moment is asked again, and its silence shown', async (t) => {
  const { ports } = world({ a: [silence(), silence(), { state: 'done' }] });
  const troubles: (string | undefined)[] = [];
  const [ended] = await followJobs(ports, started('a'), NO_LIMITS, (_jobs, trouble) => { troubles.push(trouble); });
  t.is(ended!.state, 'done');
  t.deepEqual(troubles.map((trouble) => trouble !== undefined), [false, true, true, false]);
});

test('a cluster that stays silent is given up', async (t) => {
  const { ports, now } = world({ a: [silence()] });
  await t.throwsAsync(followJobs(ports, started('a'), NO_LIMITS, nothing), { instanceOf: Unreachable });
  t.true(now() >= 15_000 && now() < 20_000);
});

test('patience begins anew with every answer', async (t) => {
  let now = 0;
  const patience = new Patience(() => now);
  const fail = async () => { throw silence(); };
  t.truthy(await patience.tryTo(fail));
  now = 14_000;
  t.is(await patience.tryTo(async () => {}), undefined);
  now = 20_000;
  t.truthy(await patience.tryTo(fail));
  now = 36_000;
  await t.throwsAsync(patience.tryTo(fail), { instanceOf: Unreachable });
});

test('a cluster whose store is gone is as good as silent; another refusal ends it at once', async (t) => {
  const patience = new Patience(() => 0);
  const refuse = (status: number) => patience.tryTo(async () => { throw new Refused(status, { code: 'x', message: 'x', retry: true, fields: {} }); });
  t.truthy(await refuse(503));
  await t.throwsAsync(refuse(500), { instanceOf: Refused });
});

test('Ctrl-C ends it', async (t) => {
  const { ports } = world({ a: [{ state: 'running' }] });
  await t.throwsAsync(followJobs({ ...ports, pause: async () => { throw new Interrupted(); } }, started('a'), NO_LIMITS, nothing), { instanceOf: Interrupted });
});
