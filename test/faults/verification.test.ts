import { cp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';
import { findings, verify, type FindingView } from './operator.ts';
import { PushedRepository, sample, untilReplica } from './pushed-repository.ts';

// What no vote sees: somebody or something changes a disk behind its node. Repairs wait until the test lets them begin,
// so that what is found can be looked at.

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  cluster = await Cluster.start({ environment: { TRIVET_VERIFY_INTERVAL_MS: '86400000', TRIVET_CHECK_INTERVAL_MS: '86400000' } });
});
anyTest.after.always(() => cluster?.stop());

interface Damage {
  what: string;
  /** Whether every object has to be looked at. */
  full: boolean;
  kind: 'diverged' | 'corrupt' | 'missing';
  explained: RegExp;
  harm(directory: string, repository: PushedRepository): Promise<void>;
}

const damages: Damage[] = [
  {
    what: 'a ref edited by hand', full: false, kind: 'diverged', explained: /refs on the disk/,
    harm: async (directory, { acknowledged }) => writeFile(join(directory, 'refs/heads/main'), `${acknowledged[0]}\n`),
  },
  {
    what: 'a ref added by hand', full: false, kind: 'diverged', explained: /refs on the disk/,
    harm: async (directory, { acknowledged }) => writeFile(join(directory, 'refs/heads/planted'), `${acknowledged[0]}\n`),
  },
  {
    what: 'a HEAD edited by hand', full: false, kind: 'diverged', explained: /refs on the disk/,
    harm: async (directory) => writeFile(join(directory, 'HEAD'), 'ref: refs/heads/elsewhere\n'),
  },
  {
    what: 'a truncated packed-refs', full: false, kind: 'diverged', explained: /refs/,
    harm: async (directory) => truncate(join(directory, 'packed-refs'), 100),
  },
  {
    what: 'a pack deleted', full: false, kind: 'corrupt', explained: /pack|object|missing/i,
    harm: async (directory) => rm(await largest(directory, '.pack')),
  },
  {
    what: 'an index deleted', full: false, kind: 'corrupt', explained: /index|idx|pack/i,
    harm: async (directory) => rm(await largest(directory, '.idx')),
  },
  {
    what: 'one bit of a pack flipped', full: true, kind: 'corrupt', explained: /pack|object|sha1|hash|corrupt/i,
    harm: async (directory) => flip(await largest(directory, '.pack'), 40),
  },
  {
    what: 'one bit of an index flipped', full: true, kind: 'corrupt', explained: /idx|index|pack/i,
    harm: async (directory) => flip(await largest(directory, '.idx'), 1_100),
  },
  {
    what: 'a repository directory deleted under a running node', full: false, kind: 'missing', explained: /no such repository|disk/,
    harm: async (directory) => rm(directory, { recursive: true }),
  },
];

for (const { what, full, kind, explained, harm } of damages) {
  test(`${what} is found, explained, counted, out of service at once, and repaired`, async (t) => {
    const name = what.replaceAll(' ', '-');
    const repository = await PushedRepository.create(cluster, name);
    // Refs in packed-refs as well as loose ones, and packs that more than one push brought.
    for (let i = 0; i < 40; i++) await repository.work.git('branch', `b${i}`);
    await repository.work.git('push', '-q', 'origin', '--all');
    await repository.mustPush();
    await repository.expectSettledAt();
    t.deepEqual((await verify(cluster, name, true)).map(({ result }) => result), ['equal', 'equal', 'equal'], 'control: nothing is found before');
    const counted = await sample(cluster, 'controller', 'trivet_findings_total', { kind });

    await cluster.arm('controller', 'repair-begun', 'delay 1500');
    await harm(await cluster.replicaDirectory(name, 'node2'), repository);
    const results = await verify(cluster, name, full);
    t.deepEqual(results.map(({ node, result }) => [node, result]), [['node1', 'equal'], ['node2', kind], ['node3', 'equal']]);
    t.not((await cluster.show(name)).replicas.find(({ node }) => node === 'node2')!.state, 'current');
    const [finding] = await findings(cluster, name);
    t.like(finding, { node: 'node2', repository: name, kind } as Partial<FindingView>);
    t.regex(finding!.detail, explained);
    t.is(await sample(cluster, 'controller', 'trivet_findings_total', { kind }), counted + 1);

    await repository.expectSettledAt();
    t.deepEqual((await verify(cluster, name, true)).map(({ result }) => result), ['equal', 'equal', 'equal']);
    t.truthy((await findings(cluster, name))[0]!.resolvedAt);
    await repository.mustPush();
    await repository.expectSettledAt();
  });
}

test('damage is noticed in the background, without anybody asking', async (t) => {
  const own = await Cluster.start({ environment: { TRIVET_VERIFY_INTERVAL_MS: '1000', TRIVET_CHECK_INTERVAL_MS: '2000', TRIVET_VERIFY_PAUSE_MS: '20' } });
  try {
    const repository = await PushedRepository.create(own, 'background');
    await writeFile(join(await own.replicaDirectory('background', 'node1'), 'refs/heads/planted'), `${repository.acknowledged[0]}\n`);
    await until(async () => (await findings(own, 'background')).some(({ kind }) => kind === 'diverged'), PATIENCE_MS, () => 'the planted ref was never noticed');
    await repository.expectSettledAt();
    await flip(await largest(await own.replicaDirectory('background', 'node3'), '.pack'), 40);
    await until(async () => (await findings(own, 'background')).some(({ kind }) => kind === 'corrupt'), PATIENCE_MS, () => 'the flipped bit was never noticed');
    await repository.expectSettledAt();
    t.true(await sample(own, 'controller', 'trivet_verifications_total', { kind: 'check', result: 'equal' }) > 0);
  } finally {
    await own.stop();
  }
});

test('verification beside a stream of pushes finds nothing where nothing is wrong', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stream');
  let pushing = true;
  let looked = 0;
  const looking = (async () => {
    while (pushing) {
      for (const { result, detail } of await verify(cluster, 'stream', looked % 2 === 0)) t.is(result, 'equal', detail);
      looked += 1;
    }
  })();
  for (let i = 0; i < 15; i++) await repository.mustPush();
  pushing = false;
  await looking;
  t.true(looked > 1);
  t.deepEqual(await findings(cluster, 'stream'), []);
  await repository.expectSettledAt();
});

test('a node whose whole directory is restored from last week is outdated where it missed pushes, found, and repaired', async (t) => {
  const moved = await PushedRepository.create(cluster, 'restored');
  const still = await PushedRepository.create(cluster, 'not-moved');
  for (const repository of [moved, still]) await repository.expectSettledAt();
  const directory = join(cluster.directory, 'data', 'node1');
  await cluster.signal('node1', 'SIGTERM');
  await cp(directory, `${directory}.backup`, { recursive: true });
  await cluster.startPart('node1');
  for (let i = 0; i < 3; i++) await moved.mustPush();
  await moved.expectSettledAt();
  await cluster.signal('node1', 'SIGTERM');
  await rm(directory, { recursive: true });
  await rename(`${directory}.backup`, directory);
  await cluster.startPart('node1');
  const [finding] = await findings(cluster, 'restored');
  t.like(finding, { node: 'node1', kind: 'outdated' } as Partial<FindingView>);
  t.regex(finding!.detail, /came back with generation \d+, SQL has recorded \d+/);
  t.deepEqual(await findings(cluster, 'not-moved'), []);
  for (const repository of [moved, still]) await repository.expectSettledAt();
});

test('two nodes whose disks were swapped refuse to start, change nothing, and are taken back with their own', async (t) => {
  const repository = await PushedRepository.create(cluster, 'swapped');
  await repository.expectSettledAt();
  const swap = async () => {
    const [one, two] = ['node2', 'node3'].map((node) => join(cluster.directory, 'data', node));
    await rename(one!, `${one}.away`);
    await rename(two!, one!);
    await rename(`${one}.away`, two!);
  };
  for (const node of ['node2', 'node3']) await cluster.signal(node, 'SIGTERM');
  await swap();
  for (const node of ['node2', 'node3']) {
    const refusal = await t.throwsAsync(cluster.startPart(node));
    t.regex(refusal!.message, /belongs to node[23]/);
  }
  for (const node of ['node2', 'node3']) t.is(await untilReplica(cluster, 'swapped', node, ['missing']), 'missing');
  t.regex((await findings(cluster, 'swapped'))[0]!.detail, /came up with the directory of node[23]/);
  t.not((await repository.push()).code, 0, 'one current replica of three takes no push');
  t.is(await repository.remoteTip(), repository.acknowledged.at(-1), 'and answers reads');
  await swap();
  for (const node of ['node2', 'node3']) await cluster.startPart(node);
  await repository.expectSettledAt();
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt();
});

test('a repository directory that SQL does not know is reported, kept, and forgotten when it is gone', async (t) => {
  await PushedRepository.create(cluster, 'known');
  const source = await cluster.replicaDirectory('known', 'node1');
  // An id from an hour ago: a younger one may be a repository that is being created.
  const id = newId(Date.now() - 3_600_000);
  const stray = join(source, '..', '..', id.slice(-2), `${id}.git`);
  await cp(source, stray, { recursive: true });
  await cluster.signal('node1', 'SIGTERM');
  await cluster.startPart('node1');
  const all = () => findings(cluster).then((list) => list.filter((finding) => finding.repositoryId === id));
  await until(async () => (await all()).length === 1, PATIENCE_MS, () => 'the stray directory was never reported');
  t.like((await all())[0], { node: 'node1', kind: 'unknown', repository: null } as Partial<FindingView>);
  t.true((await stat(stray)).isDirectory(), 'nothing is deleted that may be the only copy');
  await rm(stray, { recursive: true });
  await cluster.signal('node1', 'SIGTERM');
  await cluster.startPart('node1');
  await until(async () => (await all())[0]!.resolvedAt !== null, PATIENCE_MS, () => 'the finding stays though the directory is gone');
});

/** The largest file of a kind in a repository's store. */
async function largest(directory: string, suffix: string): Promise<string> {
  const packs = join(directory, 'objects', 'pack');
  const files = (await readdir(packs)).filter((name) => name.endsWith(suffix)).map((name) => join(packs, name));
  const sizes = await Promise.all(files.map(async (path) => ({ path, bytes: (await stat(path)).size })));
  return sizes.sort((a, b) => b.bytes - a.bytes)[0]!.path;
}

/** Flips one bit of a file, behind its reader's back. */
async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.from([bytes[at]! ^ 0x10]), 0, 1, at);
  } finally {
    await file.close();
  }
}
