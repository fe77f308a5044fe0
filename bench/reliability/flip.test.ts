import { mkdtemp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Random } from '../repositories/random.ts';
import { drawFlip, flip } from './flip.ts';

test('a flip changes one bit of one file, and the same again restores it', async (t) => {
  const replica = await mkdtemp(join(tmpdir(), 'trivet-flip-'));
  t.teardown(() => rm(replica, { recursive: true }));
  const directory = join(replica, 'objects', 'pack');
  await mkdir(directory, { recursive: true });
  const bytes = Buffer.from('some pack');
  for (const name of ['a.pack', 'b.pack', 'a.idx']) await writeFile(join(directory, name), bytes, { mode: 0o444 });
  const random = new Random('flip');
  const struck = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const drawn = await drawFlip(random, replica, '.pack');
    struck.add(drawn.path);
    await flip(drawn);
    const flipped = await readFile(drawn.path);
    const differing = [...flipped].flatMap((byte, at) => (byte === bytes[at] ? [] : [[at, byte ^ bytes[at]!]]));
    t.deepEqual(differing, [[drawn.offset, 1 << drawn.bit]]);
    t.is((await stat(drawn.path)).mode & 0o777, 0o444);
    await flip(drawn);
    t.deepEqual(await readFile(drawn.path), bytes);
  }
  t.deepEqual([...struck].sort(), [join(directory, 'a.pack'), join(directory, 'b.pack')]);
});

test('without a file of that kind there is nothing to flip', async (t) => {
  const replica = await mkdtemp(join(tmpdir(), 'trivet-flip-'));
  t.teardown(() => rm(replica, { recursive: true }));
  await mkdir(join(replica, 'objects', 'pack'), { recursive: true });
  await t.throwsAsync(drawFlip(new Random('flip'), replica, '.idx'), { message: /holds no \.idx/ });
});
