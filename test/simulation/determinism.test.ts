import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { optionsOf } from './seeds.ts';
import { Simulation } from './simulation.ts';
import { formatStory, tellRun } from './story.ts';

/** Runs with everything in them: both kinds, one to three controllers, three and five nodes. */
const SEEDS = Array.from({ length: 12 }, (_, i) => 100 + i);

async function story(seed: number): Promise<string> {
  const { lines, result } = await tellRun({ seed, options: optionsOf(seed) });
  return formatStory(lines, result);
}

test.serial('the same seed gives the same run twice in one process, whatever ran in between', async (t) => {
  const first: string[] = [];
  for (const seed of SEEDS) first.push(await story(seed));
  for (const [i, seed] of [...SEEDS].reverse().entries()) t.is(await story(seed), first[SEEDS.length - 1 - i]!);
  t.is(new Set(first).size, SEEDS.length, 'and other seeds give other runs');
});

test.serial('the same seed gives the same run in a fresh process', async (t) => {
  for (const seed of SEEDS.slice(0, 2)) {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'run.ts'), '--seed', String(seed)]);
    const there = stdout.split('\n').filter((line) => /^ *\d+ +\d+\.\d ms /.test(line));
    const here = (await story(seed)).split('\n').filter((line) => /^ *\d+ +\d+\.\d ms /.test(line));
    t.is(hashOf(there), hashOf(here));
    t.true(here.length > 10);
  }
});

test.serial('a run is the same whether its story is told or not', async (t) => {
  for (const seed of SEEDS) {
    const untold = await new Simulation({ seed, options: optionsOf(seed) }).run();
    const { result } = await tellRun({ seed, options: optionsOf(seed) });
    t.deepEqual(result, untold);
  }
});

test.serial('leaving out a fault that did not strike changes nothing', async (t) => {
  for (const seed of SEEDS) {
    const whole = await new Simulation({ seed, options: optionsOf(seed) }).run();
    t.deepEqual(await new Simulation({ seed, options: optionsOf(seed), only: new Set(whole.struck) }).run(), whole);
  }
});

function hashOf(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}
