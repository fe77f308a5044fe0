import { availableParallelism } from 'node:os';
import { CONTROLS, type Control } from './controls.ts';
import { runCampaign, type CampaignResult } from './pool.ts';
import { optionsOf, type Settings } from './seeds.ts';
import { shrink } from './shrink.ts';
import type { RunInput } from './simulation.ts';
import { formatStory, tellRun } from './story.ts';

const USAGE = `npm run simulate -- [--seed N] [--runs N] [--workers N] [--keep-going] [--<option> VALUE] [--only NAMES] [--control NAME]
  --seed N          without --runs: this one run, told as a story; with it: the first seed
  --runs N          so many runs, one seed after another; stops at the first failure, shrinks it and tells its story
  --workers N       threads (default: one for each core)
  --keep-going      count failures instead of stopping at the first
  --liveness true   only runs whose faults end, after which everything must come to rest; false: only the others
  --<option> VALUE  any of options.ts over what the seed draws, such as --nodes 5 or --probabilities.lost 0.1
  --only NAMES      only these faults and operations, by commas, as a shrunk run is printed
  --control NAME    without one guard, which must be noticed; --controls: all of them, as a table
Exit code: 0 nothing found, 1 something was found (with --controls: some guard's absence was not), 2 usage.`;

interface Arguments {
  seed: number | undefined;
  runs: number | undefined;
  workers: number;
  keepGoing: boolean;
  controls: boolean;
  control: Control | undefined;
  only: ReadonlySet<string> | undefined;
  settings: Settings;
}

const given = parse(process.argv.slice(2));
process.exitCode = given.controls ? await tellControls(given) : given.runs === undefined ? await tellOne(given) : await runMany(given, given.runs);

function parse(words: readonly string[]): Arguments {
  const parsed: Arguments = {
    seed: undefined, runs: undefined, workers: availableParallelism(), keepGoing: false, controls: false, control: undefined, only: undefined,
    settings: { set: [] },
  };
  const set: [string, string][] = [];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const value = () => rest.shift() ?? fail(`${word} needs a value`);
    const count = () => {
      const number = Number(value());
      return Number.isSafeInteger(number) && number >= 0 ? number : fail(`${word} needs a whole number`);
    };
    switch (word) {
      case '--seed': parsed.seed = count(); break;
      case '--runs': parsed.runs = count(); break;
      case '--workers': parsed.workers = Math.max(1, count()); break;
      case '--keep-going': parsed.keepGoing = true; break;
      case '--controls': parsed.controls = true; break;
      case '--control': {
        const name = value();
        parsed.control = CONTROLS.find((control) => control.name === name) ?? fail(`no control ${name}; there are: ${CONTROLS.map((control) => control.name).join(', ')}`);
        break;
      }
      case '--only': parsed.only = new Set(value().split(',')); break;
      case '--liveness': parsed.settings.liveness = value() === 'true'; break;
      case '--help': console.log(USAGE); process.exit(0); break;
      default:
        if (!word.startsWith('--')) fail(`what is ${word}?`);
        set.push([word.slice(2), value()]);
    }
  }
  parsed.settings.set = [...parsed.control?.set ?? [], ...set];
  try {
    optionsOf(parsed.seed ?? 0, parsed.settings);
  } catch (error) {
    fail((error as Error).message);
  }
  return parsed;
}

function fail(problem: string): never {
  console.error(`${problem}\n\n${USAGE}`);
  process.exit(2);
}

/** One run, as a story. */
async function tellOne({ seed = 1, settings, only, control }: Arguments): Promise<number> {
  const input: RunInput = { seed, options: optionsOf(seed, settings), only, guards: control?.guards };
  console.log(`seed ${seed}, options ${JSON.stringify(input.options)}`);
  const { lines, result } = await tellRun(input);
  console.log(formatStory(lines, result));
  if (result.violation === undefined) console.log(`\nnothing found in ${result.events} events`);
  return result.violation === undefined ? 0 : 1;
}

async function runMany({ seed, workers, keepGoing, settings, control }: Arguments, runs: number): Promise<number> {
  const from = seed ?? Date.now() * 1_000;
  console.log(`seeds ${from} to ${from + runs - 1}, ${workers} workers, settings ${JSON.stringify(settings)}${control === undefined ? '' : `, without: ${control.name}`}`);
  const startedAt = performance.now();
  let toldAt = startedAt;
  const rate = (done: number) => `${(done / (performance.now() - startedAt) * 1_000).toFixed(0)} runs/s`;
  const result = await runCampaign({
    from, runs, workers, settings, control: control?.name, keepGoing,
    progress: (done, failures) => {
      if (performance.now() - toldAt < 5_000 && done < runs) return;
      toldAt = performance.now();
      console.log(`${done} of ${runs} runs, ${rate(done)}, ${failures} failures`);
    },
  });
  for (const { seed: failed, violation } of result.failures) console.log(`seed ${failed}: ${violation.checker}: ${violation.problem}`);
  console.log(`${result.runs} runs, ${result.acknowledged} pushes acknowledged, ${result.failures.length} failures, ${rate(result.runs)}, ${(result.events / result.runs).toFixed(0)} events a run`);
  if (result.failures.length === 0) return 0;
  await explain(result.failures[0]!.seed, settings, control);
  return 1;
}

/** The failing run with as little in it as possible, as a story, and how to run that again. */
async function explain(seed: number, settings: Settings, control: Control | undefined): Promise<void> {
  const input: RunInput = { seed, options: optionsOf(seed, settings), guards: control?.guards };
  const { result } = await tellRun(input);
  if (result.violation === undefined) throw new Error(`seed ${seed} fails once and not again: the simulation is not deterministic`);
  const { only, runs } = await shrink(input, result);
  const words = [
    `--seed ${seed}`, ...(control === undefined ? [] : [`--control '${control.name}'`]),
    ...(settings.liveness === undefined ? [] : [`--liveness ${settings.liveness}`]),
    ...settings.set.slice(control?.set.length ?? 0).map(([name, value]) => `--${name} ${value}`),
  ].join(' ');
  console.log(`\nshrunk in ${runs} runs from ${result.struck.length} faults and operations to ${only.length}:\n`);
  console.log(`npm run simulate -- ${words} --only '${only.join(',')}'\n`);
  const shrunk = await tellRun({ ...input, only: new Set(only) });
  console.log(formatStory(shrunk.lines, shrunk.result));
}

/** Every guard taken away in turn: after how many runs somebody noticed, and who. */
async function tellControls({ seed = 1, workers }: Arguments): Promise<number> {
  console.log(`controls from seed ${seed}, ${workers} workers`);
  const rows: { 'without the guard': string; 'noticed after runs': number | string; 'by the checker': string; seed: number | string }[] = [];
  for (const control of CONTROLS) {
    const result: CampaignResult = await runCampaign({
      from: seed, runs: control.maxRuns, workers, settings: { set: control.set }, control: control.name,
    });
    const first = result.failures[0];
    rows.push({
      'without the guard': control.name,
      'noticed after runs': first === undefined ? `not in ${result.runs}` : first.seed - seed + 1,
      'by the checker': first?.violation.checker ?? '', seed: first?.seed ?? '',
    });
    console.log(JSON.stringify(rows.at(-1)));
  }
  console.table(rows);
  return rows.every((row) => row.seed !== '') ? 0 : 1;
}
