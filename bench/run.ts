import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Cleanup } from './cleanup.ts';
import { clone } from './clone.ts';
import { bareEnvironment, inheritedEnvironment, parseOptions, temporaryDirectory, USAGE } from './config.ts';
import type { BenchOptions, ComparisonName, ReliabilityName } from './config.ts';
import { Git } from './git.ts';
import { growth } from './growth.ts';
import { largePush } from './large-push.ts';
import { busyWarning, describeMachine, freeBytes, machineLine } from './machine.ts';
import { manyClients } from './many-clients.ts';
import { manyRefs } from './many-refs.ts';
import type { Contender, Measure, Row, Workshop } from './measure.ts';
import { bitFlip } from './reliability/bit-flip.ts';
import { catchUp } from './reliability/catch-up.ts';
import { coordinator } from './reliability/coordinator.ts';
import type { ReliabilityBench, ReliabilityMeasure } from './reliability/measure.ts';
import { killNode, stopNode } from './reliability/node-loss.ts';
import { repair } from './reliability/repair.ts';
import { simulation } from './reliability/simulation.ts';
import { evaluate, formatFigures, formatTable } from './report.ts';
import { scale } from './scale/scale.ts';
import { smallPush } from './small-push.ts';
import { startPlain } from './targets/plain.ts';
import type { Target } from './targets/target.ts';
import { startTrivet } from './targets/trivet.ts';

const NODES = 3;
/** A 500 MB push, four copies of it, twice, and all the rest; or a repository of 1 GB, on three nodes, cloned and kept. */
const NEEDED_BYTES = 8e9;
const RESULTS = join(import.meta.dirname, 'results');

const COMPARISONS: Record<ComparisonName, Measure> = {
  'small-push': smallPush,
  'many-clients': manyClients,
  'many-refs': manyRefs,
  clone,
  'large-push': largePush,
};

const RELIABILITY: Record<ReliabilityName, ReliabilityMeasure> = {
  'kill-node': killNode,
  'stop-node': stopNode,
  'catch-up': catchUp,
  repair,
  'bit-flip': bitFlip,
  coordinator,
  simulation,
  scale,
};

const cleanup = new Cleanup();
for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  process.on(signal, () => {
    console.error(`\n${signal}: stopping the servers`);
    cleanup.run().catch(console.error).finally(() => process.exit(status));
  });
}

const options = optionsOrUsage();
try {
  if (options.help) console.log(USAGE);
  else await main();
} catch (error) {
  // After a signal whatever was going on fails; that is no news.
  if (!cleanup.begun) console.error(error);
  process.exitCode = 1;
} finally {
  await cleanup.run();
}

function optionsOrUsage(): BenchOptions {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function main(): Promise<void> {
  const begun = new Date();
  const temporary = await realpath(temporaryDirectory());
  const free = await freeBytes(temporary);
  if (free < NEEDED_BYTES) {
    throw new Error(`${temporary} has ${(free / 1e9).toFixed(1)} GB left; the bench needs ${NEEDED_BYTES / 1e9}`);
  }
  const scratch = await mkdtemp(join(temporary, 'trivet-bench-'));
  cleanup.add(() => rm(scratch, { recursive: true, force: true, maxRetries: 3 }));

  const environment = bareEnvironment(scratch);
  const git = new Git(environment);
  cleanup.add(() => git.stop());
  const machine = await describeMachine(scratch, environment);
  const warning = busyWarning(machine);
  if (warning !== undefined) progress(warning);
  const workshop: Workshop = {
    quick: options.quick, git, scratch, cache: join(temporary, 'trivet-bench-cache'), progress,
  };
  const compared: Row[] = [];
  let contenders: Contender[] = [];
  if (options.comparisons.length > 0) contenders = await startContenders(git, scratch);
  for (const name of options.comparisons) compared.push(...await COMPARISONS[name]({ ...workshop, contenders }));
  const alone: Row[] = [];
  const ownClusters: ReliabilityBench = { ...workshop, store: options.store, environment: inheritedEnvironment(), cleanup };
  for (const name of options.reliability) {
    progress(name);
    alone.push(...await RELIABILITY[name](ownClusters));
  }
  if (options.growth) alone.push(...await growth(ownClusters));

  const settings = contenders.map(({ target }) => `${target.name}: ${target.settings}`);
  const notes = [machineLine(machine), ...settings, ...[...compared, ...alone].flatMap((row) => row.notes ?? [])];
  if (warning !== undefined) notes.push(warning);
  if (options.quick) notes.push('a quick run: fewer rounds and smaller repositories; quote the figures of a full one');
  const seconds = Math.round((Date.now() - begun.getTime()) / 1000);
  notes.push(`${begun.toISOString().slice(0, 16).replace('T', ' ')} UTC, ${seconds} s`);

  const [comparisons, figuresAlone] = [compared.map(evaluate), alone.map(evaluate)];
  const subject = contenders.find(({ role }) => role === 'subject')?.target.name ?? '';
  if (comparisons.length > 0) console.log(`${formatTable(comparisons, subject, options.markdown)}\n`);
  if (figuresAlone.length > 0) console.log(`${formatFigures(figuresAlone, options.markdown)}\n`);
  console.log(notes.map((note) => (options.markdown ? `- ${note}` : note)).join('\n'));
  const path = options.json ?? join(RESULTS, `${begun.toISOString().replaceAll(':', '-')}.json`);
  await mkdir(dirname(path), { recursive: true });
  const figures = { begun, seconds, options: { ...options, store: storeKind() }, machine, settings, results: [...comparisons, ...figuresAlone] };
  await writeFile(path, `${JSON.stringify(figures, null, 2)}\n`);
  progress(`figures written to ${path}`);
}

async function startContenders(git: Git, scratch: string): Promise<Contender[]> {
  const contenders: Contender[] = [];
  const add = async (role: Contender['role'], start: (directory: string) => Promise<Target>) => {
    progress(`starting the ${role === 'subject' ? options.against : role} server`);
    const directory = join(scratch, role);
    await mkdir(directory);
    const starting = start(directory);
    // A signal may come while the server is starting: its end then waits until there is something to stop.
    cleanup.add(() => starting.then((target) => target.stop(), () => {}));
    contenders.push({ role, target: await starting });
  };
  const environment = bareEnvironment(scratch);
  const plain = (name: string, fsync?: string) => (directory: string) => (
    startPlain({ name, directory, fsync }, git, environment, progress)
  );
  await add('plain', plain('plain'));
  await add('synced', plain('plain, all synced', 'all'));
  await add('subject', options.against === 'plain'
    ? plain('plain again')
    : (directory) => startTrivet({ directory, nodes: NODES, store: options.store }, inheritedEnvironment()));
  return contenders;
}

/** The store without the password that its URL may hold. */
function storeKind(): string {
  return options.store === 'sqlite' ? 'sqlite' : 'mysql';
}

/** What goes on, on the standard error, so that the standard output holds the report alone. */
function progress(text: string): void {
  console.error(`· ${text}`);
}
