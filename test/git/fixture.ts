import test, { type ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import PQueue from 'p-queue';
import { Cluster, expectEqualReplicas, expectNothingLeft, WorkTree } from '../cluster.ts';
import { runGit, type GitResult } from '../run-git.ts';

/** More at once would only wait for each other on a small machine, and make a slow node look like a dead one. */
const SCENARIOS_AT_ONCE = 3;

/** What a scenario has to itself: a fresh repository, its URL, and a work tree that has it as `origin`. */
export interface Scenario {
  cluster: Cluster;
  repository: string;
  url: string;
  work: WorkTree;
  /** A new directory that goes away with the cluster. */
  directory(): Promise<string>;
  /** Clones with stock git and checks out; more arguments go before the URL. */
  clone(...args: string[]): Promise<WorkTree>;
}

export interface ScenarioOptions {
  /** The body of the request that creates the repository. */
  create?: object;
  /** Several segments are allowed; a number is put behind it. */
  name?: string;
  /** A repository that exists already, instead of one of its own. */
  shared?: string;
}

/** One file's cluster and its scenarios. */
export interface Scenarios {
  (name: string, body: (t: ExecutionContext, scenario: Scenario) => Promise<void>, options?: ScenarioOptions): void;
  cluster(): Cluster;
}

/**
 * Gives a test file a cluster of its own, and afterwards expects of it that every repository made in it has equal,
 * sound replicas, and that no node has anything left over.
 * @param prepare makes what the scenarios share
 */
export function useCluster(prepare: (cluster: Cluster) => Promise<void> = async () => {}): Scenarios {
  let cluster: Cluster | undefined;
  let count = 0;
  const line = new PQueue({ concurrency: SCENARIOS_AT_ONCE });
  const running = () => {
    if (cluster === undefined) throw new Error('the cluster has not been started');
    return cluster;
  };
  test.before('a cluster starts', async () => {
    cluster = await Cluster.start();
    await prepare(cluster);
  });
  test.after.always('replicas are equal and nothing is left', async () => {
    if (cluster === undefined) return;
    try {
      await expectNothingLeft(cluster);
      for (const name of await repositories(cluster)) await expectEqualReplicas(cluster, name);
    } finally {
      await cluster.stop();
    }
  });
  const scenario = (name: string, body: (t: ExecutionContext, scenario: Scenario) => Promise<void>, options: ScenarioOptions = {}) => {
    const repository = options.shared ?? `${options.name ?? 'scenario'}-${++count}`;
    test(name, async (t) => {
      await line.add(async () => {
        if (options.shared === undefined) await running().create(repository, options.create);
        await body(t, await makeScenario(running(), repository));
      });
    });
  };
  return Object.assign(scenario, { cluster: running });
}

async function makeScenario(cluster: Cluster, repository: string): Promise<Scenario> {
  const url = cluster.gitUrl(repository);
  const work = await cluster.workTree();
  await work.git('remote', 'add', 'origin', url);
  const directory = () => mkdtemp(join(cluster.directory, 'clone-'));
  const clone = async (...args: string[]) => {
    const path = await directory();
    const result = await runGit(cluster.directory, ['clone', '-q', ...args, url, path]);
    if (result.code !== 0) throw new Error(`git clone ${args.join(' ')}: ${result.stderr}`);
    return new WorkTree(path);
  };
  return { cluster, repository, url, work, directory, clone };
}

async function repositories(cluster: Cluster): Promise<string[]> {
  const response = await fetch(`${cluster.url}/api/repos`);
  return (await response.json() as { name: string }[]).map(({ name }) => name);
}

/** Runs git with something to read. */
export async function feedGit(cwd: string, args: readonly string[], input: string | Buffer | Iterable<Buffer>): Promise<GitResult> {
  const child = spawn('git', args, { cwd, env: { PATH: process.env['PATH'], HOME: cwd, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1' } });
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const ended = new Promise<number>((done) => { child.once('close', (code) => done(code ?? 128)); });
  const chunks = typeof input === 'string' || Buffer.isBuffer(input) ? [input] : input;
  // A git that doesn't want to read on says why by itself.
  await pipeline(Readable.from(chunks), child.stdin).catch(() => {});
  return { code: await ended, stdout: await stdout, stderr: await stderr };
}

/** A pack with everything reachable from `tips` and not from `without`. */
export async function makePack(repository: WorkTree, tips: readonly string[], without: readonly string[] = []): Promise<Buffer> {
  const child = spawn('git', ['pack-objects', '--stdout', '--revs', '-q'], { cwd: repository.path });
  child.stdin.end([...tips, ...without.map((oid) => `^${oid}`), ''].join('\n'));
  return buffer(child.stdout);
}

/** Every ref with its object, as `git for-each-ref` lists them. */
export async function refsOf(directory: string): Promise<string> {
  return (await runGit(directory, ['for-each-ref', '--format=%(refname) %(objectname) %(objecttype) %(*objectname)'])).stdout;
}

/**
 * Every object reachable from a ref, with type and size, in the order of ids. An id is the hash of the content, and
 * `git fsck` checks that it is: equal lists are equal bits.
 */
export async function reachableObjects(directory: string): Promise<string> {
  const listed = await runGit(directory, ['rev-list', '--objects', '--all', '--no-object-names']);
  if (listed.code !== 0) throw new Error(listed.stderr);
  const oids = [...new Set(listed.stdout.split('\n').filter((oid) => oid !== ''))].sort();
  const checked = await feedGit(directory, ['cat-file', '--batch-check'], oids.map((oid) => `${oid}\n`).join(''));
  if (checked.code !== 0 || checked.stdout.includes(' missing')) throw new Error(`objects are missing in ${directory}`);
  return checked.stdout;
}

/** Fails unless every replica has exactly the refs (but for remote-tracking ones) and objects of `directory`. */
export async function expectReplicasEqualTo(t: ExecutionContext, cluster: Cluster, repository: string, directory: string): Promise<void> {
  const [refs, objects] = [await refsOf(directory), await reachableObjects(directory)];
  for (const { node } of (await cluster.converged(repository)).replicas) {
    const replica = await cluster.replicaDirectory(repository, node);
    t.is(await refsOf(replica), refs, node);
    t.is(firstDifference(await reachableObjects(replica), objects), undefined, node);
  }
}

/** The first line that two listings don't share: a whole difference of thousands of objects tells nobody anything. */
export function firstDifference(actual: string, expected: string): string | undefined {
  const [left, right] = [actual.split('\n'), expected.split('\n')];
  const at = Array.from({ length: Math.max(left.length, right.length) }, (_, i) => i).find((i) => left[i] !== right[i]);
  return at === undefined ? undefined : `line ${at + 1}: ${left[at] ?? 'nothing'}, not ${right[at] ?? 'nothing'}`;
}
