import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { allowedSource } from './source.ts';
import { scratch } from './source-repository.ts';

const STRICT = { directory: undefined, allowPrivate: false };
const resolvesTo = (...addresses: string[]) => async () => addresses;

test('a host is looked up once, and git is told where it is', async (t) => {
  const { location, config } = await allowedSource({ url: 'https://example.org/r.git' }, STRICT, resolvesTo('8.8.8.8', '2606:4700::1111'));
  t.is(location, 'https://example.org/r.git');
  t.deepEqual(config.filter(([key]) => key.startsWith('http.')), [['http.followRedirects', 'false'], ['http.curloptResolve', 'example.org:443:8.8.8.8,2606:4700::1111']]);
});

for (const [what, url, addresses] of [
  ['loopback by its address', 'http://127.0.0.1:8081/r', []], ['loopback by its IPv6 address', 'http://[::1]/r', []], ['an address in another spelling', 'http://0x7f.1/r', []],
  ['a cloud\'s metadata', 'http://169.254.169.254/latest', []], ['a name that leads to a private address', 'https://inner.example.org/r', ['10.0.0.5']],
  ['a name of which one address is private', 'https://example.org/r', ['8.8.8.8', '192.168.1.1']],
] as const) {
  test(`${what} is refused, unless private addresses are allowed`, async (t) => {
    await t.throwsAsync(allowedSource({ url }, STRICT, resolvesTo(...addresses)), { code: 'import_refused' });
    const { config } = await allowedSource({ url }, { ...STRICT, allowPrivate: true }, resolvesTo(...addresses));
    t.false(config.some(([key]) => key === 'http.curloptResolve'));
  });
}

test('a directory must be below the one that is set, wherever symbolic links lead', async (t) => {
  const root = scratch(t);
  const outside = scratch(t);
  mkdirSync(join(root, 'a'));
  mkdirSync(`${root}-beside`);
  t.teardown(async () => (await import('node:fs')).rmSync(`${root}-beside`, { recursive: true }));
  symlinkSync(outside, join(root, 'link'));
  writeFileSync(join(root, 'file'), '');
  const rules = { directory: root, allowPrivate: false };
  t.like(await allowedSource({ directory: join(root, 'a') }, rules), { location: join(root, 'a'), directory: join(root, 'a') });
  for (const path of [outside, join(root, '..'), join(root, 'link'), join(root, 'file'), `${root}-beside`, '/']) {
    await t.throwsAsync(allowedSource({ directory: path }, rules), { code: 'import_refused' }, path);
  }
  await t.throwsAsync(allowedSource({ directory: join(root, 'nowhere') }, rules), { code: 'import_failed' });
  await t.throwsAsync(allowedSource({ directory: join(root, 'a') }, STRICT), { code: 'import_refused' });
});
