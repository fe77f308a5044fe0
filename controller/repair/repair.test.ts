import test from 'ava';
import { systemClock } from '@trivet/proto/clock.ts';
import { TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import type { RepairAnswer, RepairRequest, VerifyAnswer } from '@trivet/proto/messages.ts';
import type { JobReason, RepairJob, ReplicaState, Route } from '../store/rows.ts';
import { Repair, type RepairPorts } from './repair.ts';

const D = (n: number) => String(n).repeat(64);

/** A world in which n3 is repaired: SQL at generation 5, n1 and n2 current. */
class World implements RepairPorts {
  generation = 5;
  states: Record<string, ReplicaState> = { n1: 'current', n2: 'current', n3: 'repairing' };
  usable = new Set(['n1', 'n2', 'n3']);
  held = true;
  begun: 'begun' | 'current' | 'lost' = 'begun';
  /** What n3 says of itself, the last one for ever. */
  looks: (Partial<VerifyAnswer> | ErrorCode)[] = [{}];
  /** What each round of objects brings, the last one for ever. */
  brings: number[] = [0];
  /** What n3 holds after the round `refs`. */
  after: Partial<RepairAnswer> = {};
  readonly said: string[] = [];
  readonly rounds: RepairRequest[] = [];
  readonly admitted: { generation: number; digest: string; checked: boolean }[] = [];
  inTurnNow = false;

  async route(): Promise<Route> {
    const replicas = Object.entries(this.states).map(([node, state]) => ({ node, state }));
    return { repository: { id: 'r', name: 'r', objectFormat: 'sha1', generation: this.generation, digest: D(this.generation), replicationFactor: 3 }, replicas } as unknown as Route;
  }

  async begin() { return this.begun; }
  async report() { return this.held; }
  url(node: string) { return this.usable.has(node) ? `http://${node}` : undefined; }
  discard() { this.said.push('discard'); }
  async failpoint() {}
  clock = systemClock;

  async admit(_job: RepairJob, position: { generation: number; digest: string; checked: boolean }) {
    const fits = position.generation === this.generation && position.digest === D(this.generation);
    if (fits) this.admitted.push(position);
    this.said.push(`admit ${fits ? 'yes' : 'no'}`);
    return fits;
  }

  async verify(_repository: string, node: string, full: boolean): Promise<VerifyAnswer> {
    this.said.push(`${full ? 'full' : 'light'} verify of ${node}`);
    const look = this.looks.length > 1 ? this.looks.shift()! : this.looks[0]!;
    if (typeof look === 'string') throw new TrivetError(look);
    const position = { generation: 3, digest: D(3), ...look };
    return { diskDigest: position.digest, problems: [], packs: 0, bytes: 0, tookMs: 0, ...position };
  }

  async round(_repository: string, _node: string, message: RepairRequest): Promise<RepairAnswer> {
    this.rounds.push(message);
    this.said.push(`${message.round} by ${message.way} from ${message.source.slice(7)}${this.inTurnNow ? ' in turn' : ''}`);
    const objects = message.round === 'refs' ? 0 : this.brings.length > 1 ? this.brings.shift()! : this.brings[0]!;
    return { generation: message.round === 'refs' ? message.expect!.generation : 3, digest: message.round === 'refs' ? message.expect!.digest : D(3), objects, bytes: objects * 100, ...(message.round === 'refs' ? this.after : {}) };
  }

  async inTurn<T>(_repository: string, action: () => Promise<T>): Promise<T> {
    this.inTurnNow = true;
    return action().finally(() => { this.inTurnNow = false; });
  }
}

const job = (reason: JobReason, attempt = 2) => ({ id: 'j', repository: 'r', node: 'n3', reason, attempt, detail: '' }) as RepairJob;
const EQUAL = { generation: 5, digest: D(5) };
const DAMAGED = { problems: [{ kind: 'corrupt' as const, detail: 'a flipped bit' }] };

/** What the run came to: its way, or the code of its fault; and what it did, step by step. */
async function run(world: World, reason: JobReason, attempt?: number): Promise<[string, string[]]> {
  const repair = new Repair(world, { bytesPerSecond: undefined, turnMs: 10_000 });
  const result = await repair.run(job(reason, attempt), new AbortController().signal).then(({ way }) => way, (error: TrivetError) => error.code);
  return [result, world.said];
}

test('a replica that has what SQL has is admitted without a round', async (t) => {
  const world = Object.assign(new World(), { looks: [EQUAL] });
  t.deepEqual(await run(world, 'outdated'), ['verify', ['light verify of n3', 'admit yes', 'discard']]);
  t.false(world.admitted[0]!.checked);
});

for (const reason of ['diverged', 'corrupt', 'missing'] as const) {
  test(`a ${reason} replica that has what SQL has is admitted after every object was checked, not before`, async (t) => {
    const world = Object.assign(new World(), { looks: [EQUAL] });
    t.deepEqual(await run(world, reason), ['verify', ['full verify of n3', 'admit yes', 'discard']]);
    t.true(world.admitted[0]!.checked);
  });
}

test('one on which git has failed is checked object by object, and healed: it may have been damaged since it fell behind', async (t) => {
  const failedBefore = { ...job('outdated'), lastError: 'git_failed {"args":["fetch"]}' };
  const world = Object.assign(new World(), { looks: [DAMAGED, EQUAL] });
  await new Repair(world, { bytesPerSecond: undefined, turnMs: 10_000 }).run(failedBefore, new AbortController().signal);
  t.deepEqual(world.said.slice(0, 3), ['full verify of n3', 'objects by heal from n1', 'full verify of n3']);
});

test('other refs on the disk than in memory are not equal, whatever memory says', async (t) => {
  const world = Object.assign(new World(), { looks: [{ ...EQUAL, diskDigest: D(4) }] });
  t.is((await run(world, 'diverged'))[0], 'fetch');
  t.is(world.rounds.at(-1)!.round, 'refs');
});

test('one that is behind fetches while pushes go on, then once more inside the turn', async (t) => {
  t.deepEqual(await run(new World(), 'outdated'), ['fetch', [
    'light verify of n3', 'objects by fetch from n1', 'refs by fetch from n1 in turn', 'admit yes', 'discard',
  ]]);
});

test('rounds go on until one brings little, and not for ever', async (t) => {
  const world = Object.assign(new World(), { brings: [10_000, 1_000, 150] });
  await run(world, 'outdated');
  t.is(world.rounds.length, 4);
  const endless = Object.assign(new World(), { brings: [10_000] });
  t.is((await run(endless, 'outdated'))[0], 'fetch');
  t.is(endless.rounds.filter(({ round }) => round === 'objects').length, 10);
});

test('the last round names what SQL holds when the turn has come', async (t) => {
  const world = new World();
  world.inTurn = async (_repository, action) => {
    world.generation = 6;
    return action();
  };
  t.is((await run(world, 'outdated'))[0], 'fetch');
  t.deepEqual(world.rounds.map(({ expect }) => expect?.generation), [undefined, 6]);
});

for (const code of ['replica_missing', 'refs_unreadable'] as const) {
  test(`one that is ${code} is rebuilt`, async (t) => {
    const world = Object.assign(new World(), { looks: [code] });
    t.deepEqual((await run(world, 'missing'))[1].slice(1), [
      'objects by rebuild from n1', 'refs by rebuild from n1 in turn', 'admit yes', 'discard',
    ]);
  });
}

test('a damaged one gets the packs that are bad, and is admitted when a full check finds nothing any more', async (t) => {
  const world = Object.assign(new World(), { looks: [{ ...EQUAL, ...DAMAGED }, EQUAL] });
  t.deepEqual(await run(world, 'corrupt'), ['heal', [
    'full verify of n3', 'objects by heal from n1', 'full verify of n3', 'admit yes', 'discard',
  ]]);
  t.true(world.admitted[0]!.checked);
});

test('a healed one that is behind goes on by fetching', async (t) => {
  const world = Object.assign(new World(), { looks: [DAMAGED, {}] });
  t.deepEqual((await run(world, 'corrupt'))[1].slice(1), [
    'objects by heal from n1', 'full verify of n3', 'objects by fetch from n1', 'refs by fetch from n1 in turn', 'admit yes', 'discard',
  ]);
});

test('one that healing did not mend is rebuilt', async (t) => {
  const world = Object.assign(new World(), { looks: [{ ...EQUAL, ...DAMAGED }] });
  t.deepEqual((await run(world, 'corrupt'))[1].slice(1), [
    'objects by heal from n1', 'full verify of n3', 'objects by rebuild from n1', 'refs by rebuild from n1 in turn', 'admit yes', 'discard',
  ]);
});

test('one that can not be healed at all is rebuilt where there is a current one, and waits for others where there is none', async (t) => {
  class Unhealable extends World {
    override async round(repository: string, node: string, message: RepairRequest) {
      if (message.way === 'heal') throw new TrivetError('git_failed');
      return super.round(repository, node, message);
    }
  }
  const looks = [{ ...EQUAL, ...DAMAGED }];
  t.is((await run(Object.assign(new Unhealable(), { looks }), 'corrupt'))[0], 'rebuild');
  const alone = Object.assign(new Unhealable(), { looks });
  alone.states = { n1: 'outdated', n2: 'outdated', n3: 'repairing' };
  t.is((await run(alone, 'corrupt', 20))[0], 'git_failed', 'however often: a rebuild would need a current one');
});

test('a last round that takes too long gives the turn back', async (t) => {
  class Silent extends World {
    override round(repository: string, node: string, message: RepairRequest, signal?: AbortSignal) {
      if (message.round !== 'refs') return super.round(repository, node, message);
      return new Promise<RepairAnswer>((_resolve, reject) => { signal!.addEventListener('abort', () => reject(signal!.reason)); });
    }
  }
  const world = new Silent();
  const run = new Repair(world, { bytesPerSecond: undefined, turnMs: 20 }).run(job('outdated'), new AbortController().signal);
  t.like(await t.throwsAsync(run), { code: 'phase_timeout' });
  t.false(world.inTurnNow);
});

test('the only newest replica is healed from whoever has its packs, and proves itself', async (t) => {
  const world = Object.assign(new World(), { looks: [{ ...EQUAL, ...DAMAGED }, EQUAL] });
  world.states = { n1: 'outdated', n2: 'missing', n3: 'repairing' };
  t.deepEqual((await run(world, 'corrupt'))[1].slice(1), ['objects by heal from n1', 'full verify of n3', 'admit yes', 'discard']);
});

test('one that is not the newest takes nothing from replicas that are not current', async (t) => {
  for (const look of [DAMAGED, {}]) {
    const world = Object.assign(new World(), { looks: [look] });
    world.states = { n1: 'outdated', n2: 'diverged', n3: 'repairing' };
    t.is((await run(world, 'corrupt'))[0], 'no_current_replica');
    t.deepEqual(world.rounds, []);
    t.deepEqual(world.admitted, []);
  }
});

test('a replica that is ahead of SQL is left as it is', async (t) => {
  const world = Object.assign(new World(), { looks: [{ generation: 6, digest: D(6) }] });
  t.deepEqual(await run(world, 'diverged'), ['replica_ahead', ['full verify of n3']]);
});

test('what ends in other refs than SQL has is not admitted', async (t) => {
  const world = Object.assign(new World(), { after: { digest: D(9) } });
  t.deepEqual(await run(world, 'outdated').then(([way, said]) => [way, said.filter((step) => step.startsWith('admit'))]), ['repair_failed', []]);
  const behind = Object.assign(new World(), { after: { generation: 4 } });
  t.is((await run(behind, 'outdated'))[0], 'repair_failed');
});

test('another source is asked with each attempt, and one that can not be used is not', async (t) => {
  const sources = async (attempt: number, usable: string[]) => {
    const world = Object.assign(new World(), { usable: new Set(usable) });
    const [result] = await run(world, 'outdated', attempt);
    return world.rounds[0]?.source ?? result;
  };
  t.deepEqual([await sources(1, ['n1', 'n2', 'n3']), await sources(2, ['n1', 'n2', 'n3'])], ['http://n2', 'http://n1']);
  t.deepEqual([await sources(1, ['n1', 'n3']), await sources(2, ['n1', 'n3'])], ['http://n1', 'http://n1']);
  t.is(await sources(1, ['n3']), 'no_current_replica');
  t.is(await sources(1, ['n1', 'n2']), 'node_unreachable');
});

test('whoever has lost its claim stops before the next round', async (t) => {
  const world = Object.assign(new World(), { held: false });
  t.is((await run(world, 'outdated'))[0], 'aborted');
  t.deepEqual(world.rounds, []);
  t.is((await run(Object.assign(new World(), { begun: 'lost' as const }), 'outdated'))[0], 'aborted');
});

test('a replica that has become current meanwhile is left in peace', async (t) => {
  t.deepEqual(await run(Object.assign(new World(), { begun: 'current' as const }), 'outdated'), ['none', []]);
});
