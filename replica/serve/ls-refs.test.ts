import test from 'ava';
import fc from 'fast-check';
import { buffer } from 'node:stream/consumers';
import { running } from '../git/process.ts';
import { emptyRepository, exampleRepository, git, gitSync, requestBody, serve } from './fixture.ts';
import { answerLsRefs, parseLsRefs, TOO_MANY_PREFIXES } from './ls-refs.ts';
import { requestPackets } from './request-packets.ts';
import type { Served } from './served.ts';
import { uploadPack } from './upload-pack.ts';

const HEADER = ['command=ls-refs\n', 'agent=git/2.39.5', 'object-format=sha1'];

function fromGit(gitDir: string, body: Buffer): Buffer {
  return gitSync(['upload-pack', '--stateless-rpc', '--strict', '.'], gitDir, body, 2);
}

/** The answer from memory; fails when the request is not understood. */
async function fromMemory(served: Served, args: readonly string[]): Promise<Buffer> {
  const request = parseLsRefs(requestPackets(requestBody(...args, '0000')));
  if (request === undefined) throw new Error('not understood');
  return answerLsRefs(served, request);
}

const ARGUMENTS: string[][] = [
  [],
  ['peel\n', 'symrefs\n', 'unborn\n', 'ref-prefix refs/heads/\n', 'ref-prefix refs/tags/\n', 'ref-prefix HEAD\n'],
  ['peel', 'symrefs'],
  ['symrefs'],
  ['unborn'],
  ['unborn', 'symrefs', 'ref-prefix HEAD'],
  ['unborn', 'symrefs', 'ref-prefix H'],
  ['ref-prefix refs/tags/v1', 'peel'],
  ['ref-prefix refs/tags/v1', 'ref-prefix refs/tags/v', 'ref-prefix refs/tags/v1-again', 'peel'],
  ['ref-prefix refs/tags/', 'ref-prefix refs/heads/', 'ref-prefix refs/heads/'],
  ['ref-prefix refs/trivet/'],
  ['ref-prefix '],
  ['ref-prefix main'],
  ['ref-prefix refs/notes/ä'],
  ['ref-prefix refs/heads/main', 'ref-prefix refs/heads/main/x'],
];

test('ls-refs from memory is byte for byte the answer of git', async (t) => {
  const example = await exampleRepository(t);
  const unborn = await exampleRepository(t);
  await git(['symbolic-ref', 'HEAD', 'refs/heads/not-yet'], { cwd: unborn });
  for (const gitDir of [example, unborn, await emptyRepository(t)]) {
    const served = await serve(gitDir);
    for (const args of ARGUMENTS) {
      const theirs = fromGit(gitDir, requestBody(...HEADER, '0001', ...args, '0000'));
      t.is((await fromMemory(served, args)).toString(), theirs.toString(), args.join(' '));
    }
  }
});

test('ls-refs from memory is the answer of git for any combination of arguments', async (t) => {
  const gitDir = await exampleRepository(t);
  for (const name of ['a', 'a-b', 'a/b', 'ab', 'zoo/x', 'Z', 'ü', '\u{1F600}', '\uFB01']) {
    // a name below another can't exist, so `a/b` becomes `a.d/b`
    await git(['update-ref', `refs/heads/${name.replace('a/', 'a.d/')}`, 'main'], { cwd: gitDir });
  }
  const served = await serve(gitDir);
  const names = ['HEAD', ...Array.from(served.refs.entries(), ([name]) => name)];
  const prefix = fc.tuple(fc.constantFrom(...names), fc.nat(24), fc.constantFrom('', '', '/', 'x'))
    .map(([name, length, more]) => `ref-prefix ${[...name].slice(0, length).join('')}${more}`);
  const argument = fc.oneof(fc.constantFrom('peel', 'symrefs', 'unborn'), prefix);
  const feed = fc.constantFrom('', '\n');
  const request = fc.array(fc.tuple(argument, feed).map((parts) => parts.join('')), { maxLength: 8 });
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(request, async (args) => {
    const theirs = fromGit(gitDir, requestBody(...HEADER, '0001', ...args, '0000'));
    const ours = await fromMemory(served, args);
    if (!ours.equals(theirs)) throw new Error(`${ours.toString()}\nis not\n${theirs.toString()}`);
  }), { numRuns: 120 }));
});

test('the twin sees a hidden ref that is not left out', async (t) => {
  const gitDir = await exampleRepository(t);
  const theirs = fromGit(gitDir, requestBody(...HEADER, '0001', '0000'));
  await git(['update-ref', 'refs/unhidden/kept', 'main'], { cwd: gitDir });
  t.notDeepEqual(await fromMemory(await serve(gitDir), []), theirs);
});

test('a SHA-256 repository is listed as git lists it', async (t) => {
  const gitDir = await exampleRepository(t, 'sha256');
  const args = ['peel', 'symrefs'];
  const body = requestBody('command=ls-refs', 'object-format=sha256', '0001', ...args, '0000');
  t.deepEqual(await fromMemory(await serve(gitDir, 'sha256'), args), fromGit(gitDir, body));
});

test('so many prefixes that git ignores them are ignored', async (t) => {
  const gitDir = await exampleRepository(t);
  const served = await serve(gitDir);
  for (const count of [TOO_MANY_PREFIXES - 1, TOO_MANY_PREFIXES]) {
    const args = Array.from({ length: count }, () => 'ref-prefix refs/tags/');
    const theirs = fromGit(gitDir, requestBody(...HEADER, '0001', ...args, '0000'));
    t.deepEqual(await fromMemory(served, args), theirs, String(count));
  }
});

test('what is not plainly ls-refs is left to git', (t) => {
  const notUnderstood: (string | Buffer)[][] = [
    ['peel'],
    ['peel', '0001', '0000'],
    ['peel', '0000', 'symrefs', '0000'],
    ['peeled', '0000'],
    ['ref-prefix', '0000'],
    ['peel\n\n', '0000'],
    [Buffer.from('ref-prefix refs/\xff', 'latin1'), '0000'],
    ['ref-prefix refs/\0heads', '0000'],
    ['', '0000'],
  ];
  for (const lines of notUnderstood) {
    t.is(parseLsRefs(requestPackets(requestBody(...lines))), undefined, lines.join(' '));
  }
});

test('ls-refs starts no git process, and a malformed one is refused by git', async (t) => {
  const served = await serve(await exampleRepository(t));
  const request = { served, gitProtocol: 'version=2', signal: new AbortController().signal };
  const before = new Set(running);
  const { stream } = await uploadPack({ ...request, body: requestBody(...HEADER, '0001', 'peel', '0000') });
  t.deepEqual([...running].filter((child) => !before.has(child)), []);
  t.true((await buffer(stream)).includes(' HEAD\n'));
  await t.throwsAsync(uploadPack({ ...request, body: requestBody(...HEADER, '0001', 'pee', '0000') }),
    { code: 'bad_request' });
});
