import test, { type ExecutionContext } from 'ava';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { running } from '../git/process.ts';
import { emptyRepository, exampleRepository, gitSync, listen, requestBody, serve } from './fixture.ts';
import { uploadPack, type UploadPackRequest } from './upload-pack.ts';
import { UploadPackLimiter } from './upload-pack-limiter.ts';

const LARGE_BYTES = 12 * 1024 * 1024;

/** A repository whose one blob can't be compressed: its clone is far larger than everything that buffers. */
async function largeRepository(t: ExecutionContext): Promise<string> {
  const gitDir = await emptyRepository(t);
  const head = 'commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\ndata 1\nx\n'
    + `M 100644 inline large\ndata ${LARGE_BYTES}\n`;
  gitSync(['fast-import', '--quiet'], gitDir, Buffer.concat([Buffer.from(head), randomBytes(LARGE_BYTES)]));
  return gitDir;
}

async function fetchRequest(gitDir: string, signal = new AbortController().signal): Promise<UploadPackRequest> {
  const served = await serve(gitDir);
  const body = requestBody('command=fetch', '0001', 'no-progress', `want ${served.refs.get('refs/heads/main')!}\n`,
    'done\n', '0000');
  return { served, gitProtocol: 'version=2', body, signal };
}

/** Processes of a group that have not ended; one that only waits to be reaped has. */
function processesOfGroup(group: number): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      return state !== 'Z' && Number(pgrp) === group;
    } catch {
      return false;
    }
  });
}

async function lengthOf(stream: NodeJS.ReadableStream): Promise<number> {
  return (await buffer(stream)).length;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

/** The one git process that `action` starts, still running. */
async function gitStarted(action: () => Promise<unknown>): Promise<ChildProcess & { pid: number }> {
  const before = new Set(running);
  await action();
  return [...running].find((child) => !before.has(child)) as ChildProcess & { pid: number };
}

test.serial('git is not read from while the client does not read', async (t) => {
  const response = await uploadPack(await fetchRequest(await largeRepository(t)));
  const child = [...running].at(-1)!;
  await until(() => child.stdout.isPaused() || child.exitCode !== null);
  t.true(child.stdout.isPaused());
  t.true(response.stream.readableLength < 1024 * 1024);
  const body = await buffer(response.stream);
  t.true(body.length > LARGE_BYTES);
  t.is(body.toString('latin1', body.length - 4), '0000');
  t.deepEqual(await response.done, { ok: true });
});

test.serial('an abort in the middle of a clone leaves no process behind and breaks the stream', async (t) => {
  const leaving = new AbortController();
  const request = await fetchRequest(await largeRepository(t), leaving.signal);
  let response: Awaited<ReturnType<typeof uploadPack>>;
  const child = await gitStarted(async () => { response = await uploadPack(request); });
  t.true(processesOfGroup(child.pid).length >= 1);
  leaving.abort();
  await t.throwsAsync(lengthOf(response!.stream));
  t.false((await response!.done).ok);
  await until(() => processesOfGroup(child.pid).length === 0);
  // killed, not run to its end with nobody reading
  t.is(child.signalCode, 'SIGKILL');
});

test.serial('a reader that destroys the stream ends git', async (t) => {
  const request = await fetchRequest(await largeRepository(t));
  let response: Awaited<ReturnType<typeof uploadPack>>;
  const child = await gitStarted(async () => { response = await uploadPack(request); });
  response!.stream.destroy();
  t.deepEqual(await response!.done, { ok: false, reason: 'the client left' });
  await until(() => processesOfGroup(child.pid).length === 0);
  // killed, not run to its end with nobody reading
  t.is(child.signalCode, 'SIGKILL');
});

test.serial('a client that hangs up in the middle of a clone over HTTP ends git', async (t) => {
  const gitDir = await largeRepository(t);
  const url = await listen(t, gitDir);
  const { body } = await fetchRequest(gitDir);
  const headers = { 'git-protocol': 'version=2', 'content-type': 'application/x-git-upload-pack-request' };
  let client: ReturnType<typeof httpRequest>;
  const child = await gitStarted(async () => {
    client = httpRequest(`${url}/git-upload-pack`, { method: 'POST', headers });
    client.end(body);
    const [response] = await once(client, 'response');
    await once(response as NodeJS.ReadableStream, 'readable');
  });
  client!.on('error', () => {});
  client!.destroy();
  await until(() => processesOfGroup(child.pid).length === 0);
  await until(() => running.size === 0);
  t.is(child.signalCode, 'SIGKILL');
});

test.serial('a request that was aborted before starts nothing', async (t) => {
  const request = await fetchRequest(await exampleRepository(t), AbortSignal.abort());
  const child = await gitStarted(() => t.throwsAsync(uploadPack(request), { name: 'AbortError' }));
  t.is(child, undefined as never);
});

test('git that fails after its first byte breaks the stream instead of ending it', async (t) => {
  const gitDir = await exampleRepository(t);
  const blob = gitSync(['hash-object', '-w', '--stdin'], gitDir, 'soon gone').toString().trim();
  const tree = gitSync(['mktree'], gitDir, `100644 blob ${blob}\tgone\n`).toString().trim();
  const commit = gitSync(['commit-tree', '-m', 'x', tree], gitDir).toString().trim();
  gitSync(['update-ref', 'refs/heads/main', commit], gitDir);
  rmSync(join(gitDir, 'objects', blob.slice(0, 2), blob.slice(2)));
  const response = await uploadPack(await fetchRequest(gitDir));
  await t.throwsAsync(lengthOf(response.stream), { code: 'git_failed' });
  const { ok, reason } = await response.done;
  t.false(ok);
  t.regex(reason!, /pack-objects died/);
});

test('git that fails before its first byte rejects, so that another replica can be asked', async (t) => {
  const gitDir = await exampleRepository(t);
  const request = await fetchRequest(gitDir);
  rmSync(join(gitDir, 'HEAD'));
  await t.throwsAsync(uploadPack(request), { code: 'git_failed' });
});

test('an ERR packet is a complete answer', async (t) => {
  const served = await serve(await exampleRepository(t));
  const signal = new AbortController().signal;
  const want = `want ${'1'.repeat(40)}\n`;
  for (const [gitProtocol, body] of [
    [undefined, requestBody(want, '0000', 'done\n')],
    ['version=1', requestBody(want, '0000', 'done\n')],
    ['version=2', requestBody('command=fetch', '0001', want, 'done\n', '0000')],
  ] as const) {
    const { stream, done } = await uploadPack({ served, gitProtocol, body, signal });
    t.regex((await buffer(stream)).toString(), /^0049ERR upload-pack: not our ref/, gitProtocol);
    t.deepEqual(await done, { ok: true });
  }
});

const REFUSED: [version: number, body: Buffer, code: string][] = [
  [2, Buffer.from(''), 'body_truncated'],
  [2, Buffer.from('00'), 'body_truncated'],
  [2, Buffer.from('0014command=ls-refs'), 'body_truncated'],
  [2, Buffer.from('zzzz'), 'bad_pkt_line'],
  [2, Buffer.from('0003'), 'bad_pkt_line'],
  [2, Buffer.from('0002'), 'bad_pkt_line'],
  [2, Buffer.from('fff1'), 'bad_pkt_line'],
  [2, Buffer.from('+014command=ls-refs\n0000'), 'bad_pkt_line'],
  [2, requestBody('command=ls-refs'), 'body_truncated'],
  [2, requestBody('0001', '0000'), 'bad_request'],
  [2, requestBody('agent=x', '0000'), 'bad_request'],
  [2, requestBody('command=ls-refz', '0000'), 'bad_request'],
  [2, requestBody('command=ls-refs', 'command=ls-refs', '0000'), 'bad_request'],
  [2, requestBody('command=ls-refs', 'unknown=x', '0000'), 'bad_request'],
  [2, requestBody('command=ls-refs', '0001', 'peel'), 'bad_request'],
  [2, requestBody('command=ls-refs', '0001', 'peel', '0001', '0000'), 'bad_request'],
  [2, requestBody('command=ls-refs', 'object-format=sha256', '0000'), 'object_format_mismatch'],
  [2, requestBody('command=fetch', '0001', 'want x', 'done', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'wants', 'done', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'filter x', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'deepen x', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'deepen-since x', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'deepen-not x', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'shallow x', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'have x', '0000'), 'bad_request'],
  [2, requestBody('command=fetch', '0001', 'done'), 'bad_request'],
  [0, requestBody('want x', '0000'), 'bad_request'],
  [0, requestBody('done'), 'bad_request'],
  [0, Buffer.from('0032want'), 'body_truncated'],
  [1, requestBody('deepen x', '0000'), 'bad_request'],
];

test('what is wrong with a request is said before any byte, and is not blamed on the replica', async (t) => {
  const served = await serve(await exampleRepository(t));
  for (const [version, body, code] of REFUSED) {
    const request = { served, gitProtocol: `version=${version}`, body, signal: new AbortController().signal };
    await t.throwsAsync(uploadPack(request), { code }, `v${version} ${body.toString()}`);
  }
});

test('a SHA-256 repository refuses a client that says nothing about its object format', async (t) => {
  const served = await serve(await exampleRepository(t, 'sha256'), 'sha256');
  const request = { served, gitProtocol: 'version=2', signal: new AbortController().signal };
  await t.throwsAsync(uploadPack({ ...request, body: requestBody('command=ls-refs', '0000') }),
    { code: 'object_format_mismatch' });
});

test('the lone flush that a client sends ahead of a large request gets an empty answer, as from git', async (t) => {
  const gitDir = await exampleRepository(t);
  const served = await serve(gitDir);
  for (const version of [0, 1, 2]) {
    const body = requestBody('0000');
    const request = { served, gitProtocol: `version=${version}`, body, signal: new AbortController().signal };
    const { stream, done } = await uploadPack(request);
    t.deepEqual(await buffer(stream), gitSync(['upload-pack', '--stateless-rpc', '.'], gitDir, body, version));
    t.true((await done).ok);
  }
});

test('requests wait for their turn in a bounded line, and beyond it are told that the node is busy', async (t) => {
  const limiter = new UploadPackLimiter({ concurrency: 1, maxWaiting: 1 });
  const request = { ...await fetchRequest(await exampleRepository(t)), limiter };
  const first = await uploadPack(request);
  const second = uploadPack(request);
  await until(() => limiter.waiting === 1);
  await t.throwsAsync(uploadPack(request), { code: 'too_busy' });
  t.is(limiter.running, 1);
  const lsRefs = await uploadPack({ ...request, body: requestBody('command=ls-refs', '0000') });
  t.true((await buffer(lsRefs.stream)).length > 0);
  t.true((await buffer(first.stream)).length > 0);
  t.true((await buffer((await second).stream)).length > 0);
  await (await second).done;
  await until(() => limiter.running === 0);
  t.is(limiter.waiting, 0);
});

test('a place in the line is given back when the client leaves, and a turn when git fails', async (t) => {
  const limiter = new UploadPackLimiter({ concurrency: 1, maxWaiting: 1 });
  const request = { ...await fetchRequest(await exampleRepository(t)), limiter };
  const first = await uploadPack(request);
  const leaving = new AbortController();
  const second = uploadPack({ ...request, signal: leaving.signal });
  await until(() => limiter.waiting === 1);
  leaving.abort();
  await t.throwsAsync(second, { name: 'AbortError' });
  t.is(limiter.waiting, 0);
  first.stream.destroy();
  await first.done;
  await until(() => limiter.running === 0);
  const malformed = requestBody('command=fetch', '0001', 'wants', '0000');
  await t.throwsAsync(uploadPack({ ...request, body: malformed }), { code: 'bad_request' });
  await until(() => limiter.running === 0);
  t.pass();
});

test('an aborted action keeps its turn until it is over', async (t) => {
  const limiter = new UploadPackLimiter({ concurrency: 1, maxWaiting: 1 });
  const leaving = new AbortController();
  const { promise, resolve } = Promise.withResolvers<string>();
  const first = limiter.run(() => promise, leaving.signal);
  leaving.abort();
  let begun = false;
  const second = limiter.run(async () => { begun = true; });
  await nextTurn();
  t.false(begun);
  resolve('over');
  t.is(await first, 'over');
  await second;
  t.true(begun);
});
