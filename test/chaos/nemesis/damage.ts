import { open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LOG_REFS } from '../clients/refs.ts';

/** Falsifies files of a replica behind the back of a running node. Each gives what was done, or undefined where there was nothing to do it to. */
export const DAMAGE: Record<'flip-bit' | 'truncate-packed-refs' | 'edit-ref' | 'delete-index' | 'delete-replica', (gitDir: string, choice: number) => Promise<string | undefined>> = {
  'flip-bit': async (gitDir, choice) => {
    const pack = await pickPack(gitDir, '.pack', choice);
    if (pack === undefined) return undefined;
    const { size } = await stat(pack);
    // Behind the header, before the checksum.
    const at = 12 + choice % Math.max(1, size - 32);
    const file = await open(pack, 'r+');
    try {
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      byte[0]! ^= 1 << (choice % 8);
      await file.write(byte, 0, 1, at);
      await file.sync();
    } finally {
      await file.close();
    }
    return `bit ${choice % 8} of byte ${at} of ${pack}`;
  },
  'truncate-packed-refs': async (gitDir) => {
    const path = join(gitDir, 'packed-refs');
    const size = await stat(path).then((entry) => entry.size, () => 0);
    if (size === 0) return undefined;
    await truncate(path, Math.floor(size / 2));
    return `${path} from ${size} to ${Math.floor(size / 2)} bytes`;
  },
  'edit-ref': async (gitDir, choice) => {
    const ref = LOG_REFS[choice % LOG_REFS.length]!;
    const path = join(gitDir, ref);
    const before = await readFile(path, 'utf8').catch(() => undefined);
    // Any other object that is there will do: the tip's own parent, or the tip of another branch.
    const other = await anotherTip(gitDir, before?.trim());
    if (other === undefined) return undefined;
    await writeFile(path, `${other}\n`);
    return `${ref} from ${before?.trim() ?? 'nothing'} to ${other}`;
  },
  'delete-index': async (gitDir, choice) => {
    const index = await pickPack(gitDir, '.idx', choice);
    if (index === undefined) return undefined;
    await rm(index);
    return index;
  },
  'delete-replica': async (gitDir) => {
    await rm(gitDir, { recursive: true, force: true, maxRetries: 3 });
    return gitDir;
  },
};

async function pickPack(gitDir: string, extension: string, choice: number): Promise<string | undefined> {
  const folder = join(gitDir, 'objects', 'pack');
  const names = (await readdir(folder).catch(() => [] as string[])).filter((name) => name.endsWith(extension)).sort();
  return names.length === 0 ? undefined : join(folder, names[choice % names.length]!);
}

async function anotherTip(gitDir: string, than: string | undefined): Promise<string | undefined> {
  const folder = join(gitDir, 'refs', 'heads');
  for (const name of (await readdir(folder).catch(() => [] as string[])).sort()) {
    const tip = await readFile(join(folder, name), 'utf8').catch(() => '');
    if (/^[0-9a-f]{40,64}\n?$/.test(tip) && tip.trim() !== than) return tip.trim();
  }
  return undefined;
}
