import test from 'ava';
import { shortCommand } from './memory.ts';

for (const [words, name] of [
  [['/usr/bin/node', '/a/b/controller/main.ts', '--port', '1'], 'node controller/main.ts --port'],
  [['git', '-c', 'core.fsync=all', '--git-dir=/x', 'index-pack', '--stdin', '--fix-thin'], 'git index-pack --stdin'],
  [['git', '-C', '/x', 'rev-list'], 'git rev-list'],
  [['/usr/lib/git-core/git-http-backend'], 'git-http-backend'],
] as const) {
  test(`"${words.join(' ')}" is reported as "${name}"`, (t) => {
    t.is(shortCommand(words), name);
  });
}
