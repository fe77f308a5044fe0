import test from 'ava';
import { parseImportSource } from './import-source.ts';

test('a source is a URL or a directory on a node', (t) => {
  t.deepEqual(parseImportSource('https://example.org/team/r.git'), { url: 'https://example.org/team/r.git' });
  t.deepEqual(parseImportSource('HTTP://Example.org:8080/r'), { url: 'http://example.org:8080/r' });
  t.deepEqual(parseImportSource('node1:/srv/old/r.git'), { node: 'node1', directory: '/srv/old/r.git' });
  t.deepEqual(parseImportSource('https:/srv'), { node: 'https', directory: '/srv' });
});

for (const [what, source] of [
  ['a user', 'https://me@example.org/r'], ['a password', 'https://:hunter2@example.org/r'], ['a query', 'https://example.org/r?hunter2'],
  ['a fragment', 'https://example.org/r#hunter2'], ['another protocol', 'ssh://example.org/r'], ['a file', 'file:///etc'],
  ['git\'s other transports', 'ext::sh -c true'], ['a relative directory', 'node1:srv'], ['no node', '/srv'], ['nothing', ''],
  ['a newline', 'https://example.org/r\n'], ['a control character', 'node1:/srv\u0000'], ['what is no URL', 'https://'], ['too much', `https://example.org/${'x'.repeat(2_000)}`],
] as const) {
  test(`a source with ${what} is refused, and what it said is not repeated`, (t) => {
    const error = t.throws(() => parseImportSource(source), { code: 'import_refused' });
    t.notRegex(JSON.stringify(error), /hunter2/);
  });
}
