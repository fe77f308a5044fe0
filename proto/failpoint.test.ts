import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { makeFailpoint } from './failpoint.ts';

async function folder(t: { teardown(action: () => unknown): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'trivet-failpoint-'));
  t.teardown(() => rm(directory, { recursive: true }));
  return directory;
}

test('without a directory nothing ever happens', async (t) => {
  await t.notThrowsAsync(makeFailpoint(undefined)('anything'));
});

test('one that is not armed lets pass', async (t) => {
  await t.notThrowsAsync(makeFailpoint(await folder(t))('unarmed'));
});

test('one that is armed strikes once, and only where it was armed', async (t) => {
  const directory = await folder(t);
  const failpoint = makeFailpoint(directory);
  await writeFile(join(directory, 'here'), 'error out of luck\n');
  await failpoint('there');
  await t.throwsAsync(failpoint('here'), { message: 'out of luck' });
  t.false(existsSync(join(directory, 'here')));
  await t.notThrowsAsync(failpoint('here'));
});

test('an error without a text names the failpoint', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'here'), 'error');
  await t.throwsAsync(makeFailpoint(directory)('here'), { message: 'failpoint here' });
});

test('a delay ends, and lets pass', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'here'), 'delay 1');
  await t.notThrowsAsync(makeFailpoint(directory)('here'));
});

test('an unknown action fails loudly instead of letting a test pass for nothing', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'here'), 'explode');
  await t.throwsAsync(makeFailpoint(directory)('here'), { message: 'failpoint here: unknown action "explode"' });
});

const PROGRAM = `
  import { makeFailpoint } from ${JSON.stringify(join(import.meta.dirname, 'failpoint.ts'))};
  await makeFailpoint(process.argv[1])('here');
  console.log('passed');
`;

test('kill ends the process on the spot', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'here'), 'kill');
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  const signal = await new Promise((done) => { child.once('close', (_code, by) => done(by)); });
  t.is(signal, 'SIGKILL');
  t.is(output, '');
});

test('stop halts the process until it is told to go on', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'here'), 'stop');
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  while (!/^\d+ \(.*\) T /s.test(await readFile(`/proc/${child.pid}/stat`, 'utf8'))) await new Promise(setImmediate);
  t.is(output, '');
  child.kill('SIGCONT');
  t.is(await new Promise((done) => { child.once('close', done); }), 0);
  t.is(output, 'passed\n');
});
