import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Measure } from './measure.ts';
import { MemorySampler } from './memory.ts';
import type { PeakMemory } from './memory.ts';
import { buildLargePack } from './repositories/large.ts';
import { alternate, expectRefs, pick, sendPackFile } from './rounds.ts';

const MEBIBYTE = 2 ** 20;
const REPORTED_PROCESSES = 6;
const LARGE_BYTES = 10_000_000;
/**
 * Enough that git keeps the pack: fewer than a hundred objects (receive.unpackLimit) it would unpack and deflate one by
 * one, which takes longer and would flatter whoever is compared with it.
 */
const SMALL_FILES = 100;

/** How long a push of 500 MB takes, and how much memory the largest process of the server needs for it. */
export const largePush: Measure = async (bench) => {
  const [rounds, large, smallBytes] = bench.quick ? [1, 4, 600_000] : [2, 40, 1_000_000];
  const directory = join(bench.scratch, 'large-push');
  await mkdir(directory);
  const pack = await buildLargePack(join(directory, 'large.pack'), [
    ...Array.from({ length: large }, () => LARGE_BYTES),
    ...Array.from({ length: SMALL_FILES }, () => smallBytes),
  ]);
  const megabytes = (pack.packBytes / 1e6).toFixed(0);
  const results = await alternate(bench, 'large-push', rounds, ['plain', 'subject'], async (round) => {
    const sampler = new MemorySampler(round.contender.target.processIds());
    sampler.start();
    let milliseconds: number;
    let processes: PeakMemory[] = [];
    try {
      milliseconds = await sendPackFile(round, pack);
    } finally {
      processes = sampler.stop();
    }
    await expectRefs(round, pack.updates);
    return { seconds: milliseconds / 1000, processes };
  });
  await rm(directory, { recursive: true });
  const common = { measure: 'large-push', better: 'lower' } as const;
  return [
    {
      ...common,
      what: `push of ${megabytes} MB`,
      unit: 's',
      summary: 'median',
      rounds: pick(results, (result) => result.seconds),
      must: { ratio: 2.5 },
      dream: { ratio: 1.5 },
    },
    {
      ...common,
      what: `push of ${megabytes} MB, peak memory of the largest process`,
      unit: 'MiB',
      summary: 'maximum',
      rounds: pick(results, (result) => (result.processes[0]?.peakBytes ?? 0) / MEBIBYTE),
      must: { value: 256 },
      notes: bench.contenders.flatMap(({ role, target }) => {
        const processes = results[role]?.flatMap((result) => result.processes);
        return processes === undefined ? [] : [`peak memory, ${target.name}: ${largest(processes)}`];
      }),
    },
  ];
};

/** The largest process of each command, the largest first. */
function largest(processes: readonly PeakMemory[]): string {
  const byCommand = new Map<string, number>();
  for (const { command, peakBytes } of processes) {
    byCommand.set(command, Math.max(peakBytes, byCommand.get(command) ?? 0));
  }
  return [...byCommand]
    .sort((a, b) => b[1] - a[1])
    .slice(0, REPORTED_PROCESSES)
    .map(([command, bytes]) => `${command} ${Math.round(bytes / MEBIBYTE)} MiB`)
    .join('; ');
}
