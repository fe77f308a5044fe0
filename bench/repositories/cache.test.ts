import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { cached, type Cached } from './cache.ts';

test('what was built is taken from the cache the next time, and built again when a part of it is missing', async (t) => {
  const { thing, built } = await cachedThing(t);
  t.is(await cached(thing), 'content 1');
  t.is(await cached(thing), 'content 1');
  t.is(built(), 1);
  const [directory] = await readdir(thing.cache);
  await rm(join(thing.cache, directory!, 'file'));
  t.is(await cached(thing), 'content 2');
});

test('another version of the generator replaces what the one before built, and nothing else', async (t) => {
  const { thing } = await cachedThing(t);
  await cached({ ...thing, name: 'other' });
  await cached(thing);
  await cached({ ...thing, sources: ['random.ts', 'pack.ts'] });
  const names = (await readdir(thing.cache)).map((entry) => entry.slice(0, -13)).sort();
  t.deepEqual(names, ['other', 'thing']);
});

async function cachedThing(t: ExecutionContext): Promise<{ thing: Cached<string>; built(): number }> {
  const directory = await mkdtemp(join(tmpdir(), 'trivet-cache-'));
  t.teardown(() => rm(directory, { recursive: true }));
  let built = 0;
  const thing: Cached<string> = {
    cache: join(directory, 'cache'),
    name: 'thing',
    sources: ['random.ts'],
    work: join(directory, 'work'),
    build: async (work) => writeFile(join(work, 'file'), `content ${++built}`),
    read: async (path) => readFile(join(path, 'file'), 'utf8'),
  };
  return { thing, built: () => built };
}
