import { rmSync, truncateSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { git, makeScratch } from '../refs/scratch-repository.ts';
import { isAncestor } from './ancestry.ts';

const signal = new AbortController().signal;

test('a commit is an ancestor of itself and of what comes after it, also by way of a tag, and of nothing else', async (t) => {
  const { gitDir, first, last, tag, other } = repository(t);
  const ask = (ancestor: string, descendant: string) => isAncestor(gitDir, undefined, ancestor, descendant, signal);
  t.true(await ask(first, last));
  t.true(await ask(first, first));
  t.true(await ask(tag, last));
  t.false(await ask(last, first));
  t.false(await ask(other, last));
});

test('what is not here, or no commit, is no ancestor', async (t) => {
  const { gitDir, last, tree, blob, blobTag } = repository(t);
  for (const oid of ['1'.repeat(40), tree, blob, blobTag]) t.false(await isAncestor(gitDir, undefined, oid, last, signal));
});

test('a commit that is missing or damaged on the way is no answer, though git ends as if it were', async (t) => {
  for (const damage of [rmSync, (path: string) => { chmodSync(path, 0o644); truncateSync(path, 10); }]) {
    const { gitDir, first, middle, last } = repository(t);
    damage(join(gitDir, 'objects', middle.slice(0, 2), middle.slice(2)));
    await t.throwsAsync(isAncestor(gitDir, undefined, first, last, signal), { code: 'git_failed' });
  }
});

test('a descendant that is not here is no answer: it was pushed a moment ago', async (t) => {
  const { gitDir, first } = repository(t);
  await t.throwsAsync(isAncestor(gitDir, undefined, first, '1'.repeat(40), signal), { code: 'git_failed' });
});

test('a repository that git can not work in is no answer', async (t) => {
  const { gitDir, first, last } = repository(t);
  rmSync(join(gitDir, 'HEAD'));
  await t.throwsAsync(isAncestor(gitDir, undefined, last, first, signal), { code: 'git_failed' });
});

test('whoever gives up hears that, and no answer', async (t) => {
  const { gitDir, first, last } = repository(t);
  await t.throwsAsync(isAncestor(gitDir, undefined, first, last, AbortSignal.abort(new Error('gone'))), { message: 'gone' });
});

/** Three commits in a row, loose, and some other objects. */
function repository(t: ExecutionContext) {
  const gitDir = makeScratch(t).repository();
  // A store of its own, because some tests damage it.
  rmSync(join(gitDir, 'objects'), { recursive: true, force: true });
  git(gitDir, ['init', '-q', '--bare']);
  const make = (args: string[], input = '') => git(gitDir, args, input).trim();
  const blob = make(['hash-object', '-w', '--stdin'], 'x');
  const tree = make(['mktree'], `100644 blob ${blob}\ta\n`);
  const [identity, date] = ['a <a@example.org>', '1 +0000'];
  const commit = (message: string, parent?: string) => make(['hash-object', '-t', 'commit', '-w', '--stdin'],
    `tree ${tree}\n${parent === undefined ? '' : `parent ${parent}\n`}author ${identity} ${date}\ncommitter ${identity} ${date}\n\n${message}\n`);
  const first = commit('first');
  const middle = commit('middle', first);
  const last = commit('last', middle);
  const tag = make(['mktag'], `object ${first}\ntype commit\ntag t\ntagger ${identity} ${date}\n\nt\n`);
  const blobTag = make(['mktag'], `object ${blob}\ntype blob\ntag b\ntagger ${identity} ${date}\n\nb\n`);
  return { gitDir, blob, blobTag, tree, first, middle, last, tag, other: commit('other') };
}
