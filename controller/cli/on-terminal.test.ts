import type { ChildProcess } from 'node:child_process';
import anyTest, { type TestFn } from 'ava';
import { FakeParts, makeJob, serve } from '../http/operations-under-test.ts';
import { runCli, runCliOnTerminal } from './run-cli.ts';

// What differs on a terminal; each has its counterpart in a pipe as a control.

interface Context { parts: FakeParts; url: string; close(): Promise<void> }
const test = anyTest as TestFn<Context>;

test.beforeEach(async (t) => {
  const parts = new FakeParts();
  t.context = { parts, ...await serve(parts) };
});
test.afterEach.always(async (t) => { await t.context.close(); });

const BAR = /\[[█░]+\] +(\d+|\?) %/;
const COLOUR = /\x1b\[\d+m/;
/** Modes of a terminal that last: a hidden cursor, another screen. */
const LASTING = /\x1b\[\?\d+[hl]/;

/** A job that gets on by a quarter with each look, until it is done. */
function gettingOn(parts: FakeParts): void {
  parts.jobs = [makeJob({ state: 'running', way: 'fetch', source: 'node1', round: 1, bytes: 0, totalBytes: 4_000 })];
  parts.requested = structuredClone(parts.jobs);
  parts.onJob = (job) => {
    job.bytes = Math.min(job.bytes + 1_000, 4_000);
    if (job.bytes === 4_000) Object.assign(job, { state: 'done', finishedAt: new Date() });
  };
}

test('repair run draws a progress bar on a terminal, and only there', async (t) => {
  const { parts, url } = t.context;
  gettingOn(parts);
  const { code, stdout } = await runCliOnTerminal(['repair', 'run', 'org/repo'], { url });
  t.is(code, 0);
  for (const percent of [0, 25, 50, 75, 100]) t.regex(stdout, new RegExp(`\\[[█░]{20}\\] +${percent} %`));
  t.notRegex(stdout, LASTING);
  // The bar is taken away at the end; the table of what became of the jobs stays.
  const stays = stdout.slice(stdout.lastIndexOf('\x1b[J') + 3);
  t.regex(stays, /done/);
  t.notRegex(stays, BAR);

  gettingOn(parts);
  const piped = await runCli(['repair', 'run', 'org/repo'], { url });
  t.notRegex(piped.stdout + piped.stderr, BAR);
});

test('repair watch draws a table anew, and leaves a line for each job that has ended', async (t) => {
  const { parts, url } = t.context;
  gettingOn(parts);
  const { code, stdout } = await runCliOnTerminal(['repair', 'watch'], { url });
  t.is(code, 0);
  t.regex(stdout, /1 job open, 1 running/);
  t.regex(stdout, BAR);
  t.regex(stdout, /\x1b\[3A/);
  t.regex(stdout, /org\/repo on node2: done, fetch/);
  t.true(stdout.endsWith('Nothing is open.\r\n'));
  t.notRegex(stdout, LASTING);
});

test('verify --all draws a progress bar over the repositories', async (t) => {
  const { parts, url } = t.context;
  parts.repositories = ['a', 'b', 'c', 'd'];
  const { stdout } = await runCliOnTerminal(['verify', '--all'], { url });
  t.regex(stdout, /\[[█░]{30}\] +75 % +3 of 4 repositories/);
  t.notRegex((await runCli(['verify', '--all'], { url })).stderr, BAR);
});

test('with --json standard output has the document alone, also on a terminal', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob()];
  const { stdout } = await runCliOnTerminal(['repair', 'list', '--json'], { url });
  t.is(JSON.parse(stdout).items.length, 1);
});

test('colours are for terminals, and for those who want them', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob()];
  const list = ['repair', 'list'];
  t.regex((await runCliOnTerminal(list, { url })).stdout, COLOUR);
  t.notRegex((await runCli(list, { url })).stdout, COLOUR);
  t.notRegex((await runCliOnTerminal([...list, '--no-colour'], { url })).stdout, COLOUR);
  t.notRegex((await runCliOnTerminal([...list, '--no-color'], { url })).stdout, COLOUR);
  t.notRegex((await runCliOnTerminal(list, { url, environment: { NO_COLOR: '1' } })).stdout, COLOUR);
  t.regex((await runCliOnTerminal(list, { url, environment: { NO_COLOR: '' } })).stdout, COLOUR);
});

test('a terminal that only knows text gets text', async (t) => {
  const { parts, url } = t.context;
  gettingOn(parts);
  const { code, stdout } = await runCliOnTerminal(['repair', 'run', 'org/repo'], { url, environment: { TERM: 'dumb' } });
  t.is(code, 0);
  t.notRegex(stdout, /\x1b/);
  t.regex(stdout, /org\/repo on node2: done/);
});

test('Ctrl-C leaves the terminal as it was, and says that the repair goes on', async (t) => {
  const { parts, url } = t.context;
  parts.jobs = [makeJob({ state: 'running', way: 'fetch', source: 'node1' })];
  parts.requested = structuredClone(parts.jobs);
  let typed = false;
  const onOutput = (child: ChildProcess, output: string) => {
    // As a user types it: the terminal makes a SIGINT of it.
    if (!typed && BAR.test(output)) typed = child.stdin!.write('\x03');
  };
  const { code, stdout } = await runCliOnTerminal(['repair', 'run', 'org/repo'], { url, onOutput });
  t.true(typed);
  t.is(code, 130);
  t.notRegex(stdout, LASTING);
  const end = stdout.slice(stdout.lastIndexOf('\x1b[J') + 3);
  t.is(end, `Stopped looking; the repair goes on. See what becomes of it:\r\n  trivet repair show ${parts.jobs[0]!.id}\r\n`);
});
