import { chmod, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../repositories/random.ts';

/** One bit of one file. */
export interface Flip {
  path: string;
  offset: number;
  bit: number;
}

/** Any bit of any file of this kind below a replica's `objects/pack/`: each file is as likely as any other. */
export async function drawFlip(random: Random, replica: string, extension: '.pack' | '.idx'): Promise<Flip> {
  const directory = join(replica, 'objects', 'pack');
  const files = (await readdir(directory)).filter((file) => file.endsWith(extension)).sort();
  if (files.length === 0) throw new Error(`${directory} holds no ${extension}`);
  const path = join(directory, files[random.below(files.length)]!);
  const { size } = await stat(path);
  return { path, offset: random.below(size), bit: random.below(8) };
}

/** Turns the bit over, on the disk and behind everybody's back; a second time restores it. */
export async function flip({ path, offset, bit }: Flip): Promise<void> {
  const { mode } = await stat(path);
  // git writes packs that nobody may write to.
  await chmod(path, 0o644);
  const file = await open(path, 'r+');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset);
    buffer[0]! ^= 1 << bit;
    await file.write(buffer, 0, 1, offset);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(path, mode & 0o777);
}
