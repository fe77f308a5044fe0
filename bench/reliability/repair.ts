import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HttpClient } from '../client/http.ts';
import { buildGigabyte, describeGigabyte } from '../repositories/gigabyte.ts';
import type { RealRepository } from '../repositories/real.ts';
import { expectRefs, sendPackFile } from '../rounds.ts';
import { ReliabilityCluster, type RepositoryView } from './cluster.ts';
import type { ReliabilityBench, ReliabilityMeasure } from './measure.ts';

const run = promisify(execFile);
const NAME = 'gigabyte';

/**
 * How long the repair of a large repository takes whose replica is gone from a node's disk, against `git clone --mirror`
 * of the same repository from the same cluster, in turn. A repair begins when the node says that it serves, for it says
 * then what it is missing, and ends when REST shows the replica current. Answers to clones aren't kept: each is made.
 */
export const repair: ReliabilityMeasure = async (bench) => {
  const rounds = bench.quick ? 2 : 3;
  const size = bench.quick ? 'quick' : 'full';
  const repository = await buildGigabyte(bench.git, bench.cache, join(bench.scratch, 'gigabyte'), size, bench.progress);
  const cluster = await ReliabilityCluster.start(bench, {
    name: 'repair', restart: false, environment: { TRIVET_RESPONSE_CACHE_BYTES: '0' },
  });
  const clones: number[] = [];
  const repairs: number[] = [];
  const starts: number[] = [];
  try {
    const url = await cluster.create(NAME);
    bench.progress('repair: pushing the repository');
    const client = new HttpClient();
    try {
      await sendPackFile({ client, url }, repository);
      await expectRefs({ client, url }, repository.updates);
    } finally {
      client.close();
    }
    const view = await cluster.untilEqual(NAME);
    const clone = async () => {
      clones.push(await cloneOnce(bench, url, repository));
    };
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`repair: round ${round} of ${rounds}`);
      const node = cluster.nodes[round % cluster.nodes.length]!;
      if (round % 2 === 1) await clone();
      const { startSeconds, seconds } = await repairOnce(cluster, view, node);
      starts.push(startSeconds);
      repairs.push(seconds);
      if (round % 2 === 0) await clone();
      await cluster.checkDisk(bench.git, view, node, repository.updates);
    }
  } finally {
    await cluster.end();
  }
  const megabytes = (repository.packBytes / 1e6).toFixed(0);
  const common = { measure: 'repair', unit: 's', better: 'lower', summary: 'median' } as const;
  return [
    {
      ...common,
      what: `repair of ${megabytes} MB against git clone --mirror of the same`,
      rounds: { plain: clones, subject: repairs },
      must: { ratio: 1.3 },
      dream: { ratio: 0.8 },
      notes: [`the repository that is repaired: ${describeGigabyte(repository)}`],
    },
    { ...common, what: '  the repair', rounds: { subject: repairs } },
    { ...common, what: '  git clone --mirror', rounds: { subject: clones } },
    { ...common, what: '  before the repair: start of the node', rounds: { subject: starts } },
  ];
};

/** @returns seconds */
async function cloneOnce({ git, scratch }: ReliabilityBench, url: string, repository: RealRepository): Promise<number> {
  const directory = join(scratch, 'mirror.git');
  await run('sync');
  const begun = performance.now();
  await git.run(scratch, ['clone', '--quiet', '--mirror', url, directory]);
  const seconds = (performance.now() - begun) / 1000;
  const counted = (await git.run(directory, ['count-objects', '-v'])).toString();
  const objects = Number(/^in-pack: (\d+)$/m.exec(counted)?.[1]);
  if (objects !== repository.objects) throw new Error(`${objects} objects were cloned, not ${repository.objects}`);
  await rm(directory, { recursive: true, force: true });
  return seconds;
}

/** Takes a replica off the disk of a node that is down, and lets it come back. */
async function repairOnce(cluster: ReliabilityCluster, view: RepositoryView, node: string): Promise<{ startSeconds: number; seconds: number }> {
  await cluster.kill(node);
  await rm(cluster.replicaDirectory(view, node), { recursive: true });
  await run('sync');
  const begun = performance.now();
  cluster.start(node);
  await cluster.untilReady(node);
  const ready = performance.now();
  await cluster.untilCurrent(NAME, node);
  return { startSeconds: (ready - begun) / 1000, seconds: (performance.now() - ready) / 1000 };
}
