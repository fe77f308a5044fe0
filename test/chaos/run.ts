import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { table, type Figures } from './figures.ts';
import { FAULT_KINDS, type FaultKind } from './nemesis/kinds.ts';
import { tell } from './story.ts';

// npm run chaos: real faults on real processes, and what came of them. Exit status 0 fine, 1 a promise was broken, 2 usage.

const USAGE = `npm run chaos -- [--minutes M] [--seed S] [--nodes 3|5] [--clients N] [--pause MS] [--only KIND,…] [--verification] [--keep] [--json FILE]

  --minutes       how long faults go on, in all (default 2); half with three nodes, half with five, unless --nodes is given
  --seed          the schedule of faults follows from it (default: by the clock); printed first
  --clients       git clients at work (default 8)
  --pause         milliseconds between the beginnings of two faults, on average (default 2000)
  --only          these faults alone: ${FAULT_KINDS.join(', ')}
  --verification  verification runs in the background, and files are damaged silently, too
  --keep          keeps logs and history of a good run, too
  --json          writes the figures to a file`;

/** Violations that are told as a story; the others only in a line each. */
const STORIES = 5;

// Exit handlers end the parts and unmount the disks; a signal alone would run none.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
const options = readOptions();
console.log(`npm run chaos -- --seed ${options.seed} --minutes ${options.minutes} --nodes ${options.nodes.join(',')} --clients ${options.clients} --pause ${options.pauseMs}`
  + `${options.only === undefined ? '' : ` --only ${options.only.join(',')}`}${options.verification ? ' --verification' : ''}`);
const all: Figures[] = [];
let broken = false;
for (const nodes of options.nodes) {
  const { violations, figures, history, deployment } = await runCampaign({
    seed: options.seed, durationMs: options.minutes * 60_000 / options.nodes.length, nodes, clients: options.clients, pauseMs: options.pauseMs,
    verification: options.verification, only: options.only, say: (line) => console.log(line),
  });
  all.push(figures);
  await deployment.stop();
  for (const [i, violation] of violations.entries()) {
    console.log(i < STORIES ? `\n${tell(violation, history.records)}` : `BROKEN: ${violation.promise}: ${violation.text.split('\n')[0]}`);
  }
  broken ||= violations.length > 0;
  if (violations.length > 0) console.log(`\n${violations.length} violations. Logs are in ${deployment.logDirectory}, the history is ${history.path}`);
  else if (options.keep) console.log(`logs are in ${deployment.logDirectory}, the history is ${history.path}`);
  else await deployment.remove();
  if (broken) break;
}
console.log(`\n${table(all)}\n\n${broken ? 'A promise was broken.' : 'Every promise was kept.'}`);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(all, undefined, 2)}\n`);
process.exit(broken ? 1 : 0);

function readOptions(): {
  minutes: number; seed: number; nodes: number[]; clients: number; pauseMs: number; only: FaultKind[] | undefined; verification: boolean; keep: boolean; json: string | undefined;
} {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '2' }, seed: { type: 'string' }, nodes: { type: 'string', default: '3,5' }, clients: { type: 'string', default: '8' },
        pause: { type: 'string', default: '2000' }, only: { type: 'string' }, verification: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false },
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
      only: only as FaultKind[] | undefined, verification: values.verification, keep: values.keep, json: values.json,
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
