import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { mariadbHere } from '../mariadb.ts';
import type { Figures } from './figures.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;
/** A busy machine, and repairs that wait for one another. */
const PATIENCE_MS = 15 * 60_000;

test('what clients were promised holds through a short run of faults on real processes', async (t) => {
  t.timeout(PATIENCE_MS);
  const { status, output, figures } = await chaos(t, '--seed', '19038', '--minutes', '0.6', '--clients', '5', '--pause', '1000');
  t.is(status, 0, output);
  const [phase] = figures;
  t.true(phase!.pushesAcknowledged > 0 && phase!.reads > 0);
  t.true(Object.keys(phase!.faultsByKind).length >= 8, JSON.stringify(phase!.faultsByKind));
  t.log(output);
});

test('control: a ref that is moved behind a replica\'s back just before the checks makes the run red', async (t) => {
  t.timeout(PATIENCE_MS);
  const { status, output } = await chaos(t, '--seed', '1', '--minutes', '0.05', '--clients', '3', '--only', 'slow-link', '--no-verification', '--control');
  t.is(status, 1, output);
  for (const promise of ['every replica passes git fsck', 'all replicas have equal refs', 'every acknowledged push is seen by every later read']) {
    t.true(output.includes(`BROKEN: ${promise}`), output);
  }
});

async function chaos(t: ExecutionContext, ...args: string[]): Promise<{ status: number; output: string; figures: Figures[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'trivet-chaos-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const json = join(folder, 'figures.json');
  const { status, output } = await new Promise<{ status: number; output: string }>((resolve) => {
    const child = execFile(process.execPath, [join(import.meta.dirname, 'run.ts'), '--nodes', '3', '--json', json, ...args], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, output: stdout + stderr });
    });
    t.teardown(() => { child.kill('SIGTERM'); });
  });
  return { status, output, figures: JSON.parse(await readFile(json, 'utf8').catch(() => '[]')) as Figures[] };
}
