import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { RepositoryView } from '../cluster.ts';
import { runCampaign, type CampaignResult } from './campaign.ts';
import { LOG_REFS } from './clients/refs.ts';
import type { Deployment } from './deployment/deployment.ts';
import { table, type Figures } from './figures.ts';
import { runIsolated } from './isolation.ts';
import { FAULT_KINDS, type FaultKind } from './nemesis/kinds.ts';
import { tell } from './story.ts';

// npm run chaos: real faults on real processes, and what came of them. Exit status 0 fine, 1 a promise was broken, 2 usage.

const USAGE = `npm run chaos -- [--minutes M] [--seed S] [--nodes 3|5] [--clients N] [--pause MS] [--only KIND,…] [--no-verification] [--control] [--keep] [--json FILE]

  --minutes       how long the schedule of faults is (default 2); half with three nodes, half with five, unless --nodes is given; waits for
                  repairs come on top, half as much at most
  --seed          the schedule of faults follows from it (default: by the clock); printed first
  --clients       git clients at work (default 8)
  --pause         milliseconds between the beginnings of two faults, on average (default 2000)
  --only          these faults alone: ${FAULT_KINDS.join(', ')}
  --no-verification  leaves out the faults that only background verification finds
  --control       falsifies a replica before the checks: they must find it
  --keep          keeps logs and history of a good run, too
  --json          writes the figures to a file`;

/** Violations that are told as a story; the others only in a line each. */
const STORIES = 5;

const options = readOptions();
const isolated = await runIsolated();
process.exit(isolated ?? await main());

async function main(): Promise<number> {
  // Exit handlers end the parts and unmount the disks; a signal alone would run none.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  const { seed, minutes, nodes, clients, pauseMs, only, verification } = options;
  console.log(`npm run chaos -- --seed ${seed} --minutes ${minutes} --nodes ${nodes.join(',')} --clients ${clients} --pause ${pauseMs}`
    + `${only === undefined ? '' : ` --only ${only.join(',')}`}${verification ? '' : ' --no-verification'}`);
  const figures: Figures[] = [];
  let broken = false;
  for (const count of nodes) {
    const result = await runCampaign({
      seed, durationMs: minutes * 60_000 / nodes.length, nodes: count, clients, pauseMs, verification, only, say: (line) => console.log(line),
      ...(options.control ? { meddle: moveRefBehindTheBack } : {}),
    });
    figures.push(result.figures);
    await report(result);
    broken ||= result.violations.length > 0;
    if (broken) break;
  }
  console.log(`\n${table(figures)}\n\n${broken ? 'A promise was broken.' : 'Every promise was kept.'}`);
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures, undefined, 2)}\n`);
  return broken ? 1 : 0;
}

async function report({ violations, history, deployment }: CampaignResult): Promise<void> {
  await deployment.stop();
  for (const [i, violation] of violations.entries()) {
    console.log(i < STORIES ? `\n${tell(violation, history.records)}` : `BROKEN: ${violation.promise}: ${violation.text.split('\n')[0]}`);
  }
  if (violations.length === 0 && !options.keep) return deployment.remove();
  console.log(`\n${violations.length} promises broken. Logs are in ${deployment.logDirectory}, the history is ${history.path}`);
}

/** To a commit that never was: nobody pushed it, and no replica has it. */
async function moveRefBehindTheBack(deployment: Deployment, views: readonly RepositoryView[]): Promise<void> {
  await writeFile(join(deployment.replicaDirectory('node2', views[0]!.id), LOG_REFS[0]), `${'1'.repeat(views[0]!.objectFormat === 'sha256' ? 64 : 40)}\n`);
}

function readOptions(): {
  minutes: number; seed: number; nodes: number[]; clients: number; pauseMs: number; only: FaultKind[] | undefined; verification: boolean; control: boolean; keep: boolean; json: string | undefined;
} {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '2' }, seed: { type: 'string' }, nodes: { type: 'string', default: '3,5' }, clients: { type: 'string', default: '8' },
        pause: { type: 'string', default: '2000' }, only: { type: 'string' }, 'no-verification': { type: 'boolean', default: false }, control: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
        json: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const only = values.only?.split(',');
    const wrong = only?.filter((kind) => !FAULT_KINDS.includes(kind as FaultKind)) ?? [];
    if (wrong.length > 0) throw new Error(`no such fault: ${wrong.join(', ')}`);
    return {
      minutes: number(values.minutes, 'minutes'), seed: values.seed === undefined ? Date.now() % 1_000_000_000 : number(values.seed, 'seed'),
      nodes: values.nodes.split(',').map((text) => number(text, 'nodes')), clients: number(values.clients, 'clients'), pauseMs: number(values.pause, 'pause'),
      only: only as FaultKind[] | undefined, verification: !values['no-verification'], control: values.control, keep: values.keep, json: values.json,
    };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function number(text: string, name: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
}
