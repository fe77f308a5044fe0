import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Engine, whyNoEngine } from './engine.ts';
import { buildTrivet, makeStandIns } from './images.ts';
import { operate } from './operating.ts';
import { Stack } from './stack.ts';
import { STEPS } from './steps.ts';

// npm run test:containers [-- --directory DIR] [--only stack|operating]: brings the stack of docker-compose.yml up on an
// engine of its own, does to it what happens to clusters, and then types what docs/operating.md says on another one. With
// DIR, the engine's images stay there and the next run is quicker by minutes.
// Ends with 0 when every step held, 1 when one didn't, 0 and the reason when this machine can have no engine.

const { values } = parseArgs({ options: { directory: { type: 'string' }, only: { type: 'string' } } });
const reason = whyNoEngine();
if (reason !== undefined) {
  console.log(`skipped: ${reason}`);
  process.exit(0);
}
const directory = values.directory === undefined ? await mkdtemp(join(tmpdir(), 'trivet-containers-')) : resolve(values.directory);
await mkdir(directory, { recursive: true });
const engine = await Engine.start(join(directory, 'engine'));
let failed = false;
try {
  await timed('the stand-ins for official images are made', () => makeStandIns(engine, directory));
  await timed('the image is built', () => buildTrivet(engine));
  if (values.only !== 'operating') await live(engine);
  if (values.only !== 'stack') await operate(engine, directory, timed);
} catch (error) {
  failed = true;
  console.log((error as Error).stack);
} finally {
  await engine.stop();
  if (values.directory === undefined) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}
process.exit(failed ? 1 : 0);

/** Brings the stack up, has every step done to it, and removes it. */
async function live(engine: Engine): Promise<void> {
  const stack = await Stack.make(engine, directory);
  try {
    for (const [name, step] of STEPS) await timed(name, () => step(stack));
  } catch (error) {
    console.log(await stack.logs());
    throw error;
  } finally {
    await stack.remove();
  }
}

async function timed(what: string, action: () => Promise<unknown>): Promise<void> {
  const start = Date.now();
  try {
    await action();
    console.log(`  ✔ ${what} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    console.log(`  ✘ ${what}`);
    throw error;
  }
}
