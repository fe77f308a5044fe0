import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { endProcess } from '../targets/end-process.ts';
import type { ReliabilityBench, ReliabilityMeasure } from './measure.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'test', 'simulation', 'run.ts');
const STOP_GRACE_MS = 5_000;

/** How many runs a second the simulation makes in one process, which keeps one core busy. */
export const simulation: ReliabilityMeasure = async (bench) => {
  const [rounds, runs] = bench.quick ? [1, 500] : [3, 2_000];
  if (!await access(PROGRAM).then(() => true, () => false)) throw new Error(`there is no ${PROGRAM}`);
  const perSecond: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`simulation: round ${round} of ${rounds}`);
    const made = parseRuns(await simulate(bench, runs));
    if (made.runs !== runs) throw new Error(`${made.runs} runs were made, not ${runs}`);
    perSecond.push(made.perSecond);
  }
  return [{
    measure: 'simulation',
    what: 'simulation runs a second on one core',
    unit: 'runs/s',
    better: 'higher',
    summary: 'median',
    rounds: { subject: perSecond },
    must: { value: 500 },
    dream: { value: 5_000 },
  }];
};

/** What a simulation says at its end: `N runs, …, R runs/s`, or `N runs in S s`. Throws Error without either. */
export function parseRuns(output: string): { runs: number; perSecond: number } {
  const number = (text: string | undefined) => Number(text?.replaceAll(',', ''));
  for (const line of output.trim().split('\n').reverse()) {
    const [, runs, perSecond] = /^([\d,]+) runs,.* ([\d.,]+) runs\/s/.exec(line) ?? [];
    if (runs !== undefined) return { runs: number(runs), perSecond: number(perSecond) };
    const [, those, seconds] = /^([\d,]+) runs in ([\d.]+) s\b/.exec(line) ?? [];
    if (those !== undefined) return { runs: number(those), perSecond: number(those) / number(seconds) };
  }
  throw new Error(`the simulation doesn't say how fast it was: ${output.slice(-300)}`);
}

/** @returns what it printed. Throws Error when a run failed. */
async function simulate(bench: ReliabilityBench, runs: number): Promise<string> {
  const args = [PROGRAM, '--runs', String(runs), '--workers', '1'];
  const child = spawn(process.execPath, args, { env: bench.environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  bench.cleanup.add(() => endProcess(child, STOP_GRACE_MS).then(() => {}));
  const closed = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(String(signal ?? code)));
  });
  const [output, complaint, ended] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  if (ended !== '0') throw new Error(`the simulation ended with ${ended}: ${complaint.slice(-1_000)}${output.slice(-1_000)}`);
  return output;
}
