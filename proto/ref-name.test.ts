import { execFile } from 'node:child_process';
import test from 'ava';
import fc from 'fast-check';
import { isBranch, isHiddenRef, isRefName } from './ref-name.ts';

/** What git itself says of each name: `git check-ref-format` for hundreds of them in one process tree. */
async function askGit(names: readonly string[]): Promise<boolean[]> {
  const script = 'for name; do if git check-ref-format "$name"; then echo 1; else echo 0; fi; done';
  const child = execFile('xargs', ['-0', '-n', '500', 'sh', '-c', script, 'sh']);
  let output = '';
  child.stdout!.on('data', (chunk: string) => { output += chunk; });
  child.stdin!.end(names.map((name) => `${name}\0`).join(''));
  await new Promise((done) => { child.once('close', done); });
  return output.trim().split('\n').map((line) => line === '1');
}

const good = [
  'refs/heads/main', 'refs/heads/a/b/c', 'refs/x', 'refs/heads/@', 'refs/heads/-a', 'refs/heads/a.b', 'refs/heads/a./b', 'refs/heads/{a}',
  'refs/heads/a@b', 'refs/heads/lock', 'refs/heads/a.locks', 'refs/heads/a.LOCK', 'refs/heads/grün', 'refs/heads/\u{1f600}', 'refs/heads/a"b',
  'refs/heads/a\'b', 'refs/heads/a;b', 'refs/heads/$(x)', 'refs/heads/a|b', 'refs/heads/<a>', 'refs/heads/#', 'refs/heads/%2e%2e',
  'refs/heads/a]', 'refs/heads/}', 'refs/tags/v1.0', 'refs/notes/commits', 'refs/heads/\u00a0', 'refs/heads/\u0085',
];
const bad = [
  '', 'refs', 'refs/', 'refs//', 'refs/heads/', 'refs/heads//a', '/refs/heads/a', 'refs/heads/a/', 'refs/heads/.a', 'refs/.heads/a',
  'refs/heads/a..b', 'refs/heads/..', 'refs/heads/.', 'refs/heads/a.', 'refs/heads/a.lock', 'refs/heads/a.lock/b', 'refs/heads/.lock',
  'refs/heads/a b', 'refs/heads/a~1', 'refs/heads/a^', 'refs/heads/a:b', 'refs/heads/a?', 'refs/heads/a*', 'refs/heads/[a', 'refs/heads/a\\b',
  'refs/heads/a@{1}', 'refs/heads/@{', 'refs/heads/\x7f', 'refs/heads/\x01', 'refs/heads/\t', 'refs/heads/a\nb', 'refs/../heads/a', '../refs/heads/a',
];

test('what git accepts in the table is accepted', async (t) => {
  t.deepEqual((await askGit(good)).map((ok, i) => (ok ? '' : good[i])).filter((name) => name !== ''), [], 'git agrees with the table');
  for (const name of good) t.true(isRefName(name), JSON.stringify(name));
});

test('what git refuses in the table is refused', async (t) => {
  t.deepEqual((await askGit(bad)).map((ok, i) => (ok ? bad[i] : '')).filter((name) => name !== ''), [], 'git agrees with the table');
  for (const name of bad) t.false(isRefName(name), JSON.stringify(name));
});

test('what does not begin with refs/ is refused though git would take it', async (t) => {
  const names = ['heads/main', 'a/b', 'Refs/heads/a', 'refs-/a'];
  t.deepEqual(await askGit(names), [true, true, true, true]);
  for (const name of names) t.false(isRefName(name), name);
});

test('a NUL ends no check early', (t) => {
  t.false(isRefName('refs/heads/a\0'));
  t.false(isRefName('refs/heads/a\0/b'));
});

test('half a surrogate pair is refused: it has no bytes that could be stored', (t) => {
  t.false(isRefName('refs/heads/\ud800'));
  t.false(isRefName('refs/heads/\udc00a'));
  t.true(isRefName('refs/heads/\ud83d\ude00'));
});

test('HEAD and other names in capitals are no refs', (t) => {
  for (const name of ['HEAD', 'FETCH_HEAD', 'MERGE_HEAD']) t.false(isRefName(name));
});

test('any name is judged as git judges it', async (t) => {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'heads', 'refs', 'é') },
    { weight: 4, arbitrary: fc.constantFrom('/', '.', '..', '.lock', '@', '{', '@{', '-', '~', '^', ':', '?', '*', '[', ']', '\\', ' ', '\x7f', '\x01', '\n', '//', '/.') },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }).filter((text) => !/[\0\ud800-\udfff]/.test(text)) },
  );
  const name = fc.array(piece, { minLength: 1, maxLength: 7 }).map((parts) => `refs/${parts.join('')}`);
  const names = fc.sample(name, 1_000);
  const answers = await askGit(names);
  t.is(answers.length, names.length);
  t.true(answers.includes(true) && answers.includes(false));
  t.deepEqual(names.filter((candidate, i) => isRefName(candidate) !== answers[i]), []);
});

test('a component that no file system holds is refused, counted in bytes', (t) => {
  t.true(isRefName(`refs/heads/${'a'.repeat(250)}`));
  t.false(isRefName(`refs/heads/${'a'.repeat(251)}`));
  t.false(isRefName(`refs/heads/${'é'.repeat(126)}`));
});

test('a name that is too long as a whole is refused, counted in bytes', (t) => {
  const long = (letter: string, count: number) => `refs/${Array.from({ length: count }, () => letter.repeat(99)).join('/')}`;
  t.true(isRefName(long('a', 10)));
  t.false(isRefName(long('a', 11)));
  t.false(isRefName(long('é', 6)));
});

test('only what is below refs/trivet/ is hidden, only what is below refs/heads/ a branch', (t) => {
  t.deepEqual(['refs/trivet/a', 'refs/trivetx/a', 'refs/heads/refs/trivet/a', 'refs/Trivet/a'].map(isHiddenRef), [true, false, false, false]);
  t.deepEqual(['refs/heads/a', 'refs/headsx', 'refs/tags/a', 'heads/a'].map(isBranch), [true, false, false, false]);
});
