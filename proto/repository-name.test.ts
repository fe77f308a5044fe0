import { posix } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { isRepositoryName } from './repository-name.ts';

for (const name of ['a', 'A', '_', '0', 'a-b', 'a.b', 'a_b', 'team/project', 'a/b/c/d', 'git', 'lock', 'a.gitx', 'x'.repeat(100), `${'x'.repeat(99)}/${'y'.repeat(100)}`]) {
  test(`${name.slice(0, 30)} (${name.length}) is a repository name`, (t) => {
    t.true(isRepositoryName(name));
  });
}

for (const name of [
  '', '.', '..', '...', '/', 'a/', '/a', 'a//b', 'a/../b', '../a', 'a/..', './a', 'a/.', '.a', '-a', 'a.', 'a.git', 'a.GIT', 'a.git/b', 'a.lock', 'a.Lock/b', 'a..b',
  'a b', 'a\\b', 'a\0', 'a\n', '\na', 'a%2e', 'a?b', 'a#b', 'a:b', 'a;b', 'é', 'а', '\u2024\u2024', '\uff0e\uff0e', '~a', 'a*', '\u2215a', 'x'.repeat(101), 'x/'.repeat(100) + 'x',
]) {
  test(`${JSON.stringify(name.slice(0, 30))} (${name.length}) is no repository name`, (t) => {
    t.false(isRepositoryName(name));
  });
}

test('a name never leads out of the folder it is joined to', (t) => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('.', '/', 'a', '\\', '-', '_') }));
  fc.assert(fc.property(text, (name) => {
    if (!isRepositoryName(name)) return;
    t.is(posix.join('/root', name), `/root/${name}`);
    t.regex(name, /^[\w./-]+$/);
  }), { numRuns: 2_000 });
  t.pass();
});
