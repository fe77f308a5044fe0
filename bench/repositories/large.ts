import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { ZERO_OID } from '../client/push.ts';
import type { RefUpdate } from '../client/push.ts';
import { oidOf, packEntry, packHeader, treeEntry } from './pack.ts';
import { Random } from './random.ts';

/** A pack of files that don't compress, and the push that brings it. */
export interface LargePack {
  packPath: string;
  packBytes: number;
  updates: readonly RefUpdate[];
}

/**
 * Writes a pack (gitformat-pack(5)) of one commit with files of these sizes, never holding more than one of them.
 * Nothing is deflated, only wrapped: that is what git's own packs of such files come to.
 */
export async function buildLargePack(packPath: string, fileBytes: readonly number[]): Promise<LargePack> {
  const written = { bytes: 0, commit: '' };
  await pipeline(pack(fileBytes, written), createWriteStream(packPath));
  const update = { ref: 'refs/heads/main', old: ZERO_OID, new: written.commit };
  return { packPath, packBytes: written.bytes, updates: [update] };
}

function* pack(fileBytes: readonly number[], written: { bytes: number; commit: string }): Generator<Buffer> {
  const random = new Random('large');
  const hash = createHash('sha1');
  const count = (part: Buffer) => {
    hash.update(part);
    written.bytes += part.length;
    return part;
  };
  yield count(packHeader(fileBytes.length + 2));
  const entries: Buffer[] = [];
  for (const [i, bytes] of fileBytes.entries()) {
    const content = random.bytes(bytes);
    yield count(packEntry('blob', content, 0));
    entries.push(treeEntry('100644', `file-${String(i).padStart(4, '0')}.bin`, oidOf('blob', content)));
  }
  const tree = Buffer.concat(entries);
  yield count(packEntry('tree', tree, 0));
  const author = 'Bench <bench@example.org> 1700000000 +0000';
  const treeOid = oidOf('tree', tree).toString('hex');
  const commit = Buffer.from(`tree ${treeOid}\nauthor ${author}\ncommitter ${author}\n\nlarge files\n`);
  yield count(packEntry('commit', commit, 0));
  written.commit = oidOf('commit', commit).toString('hex');
  written.bytes += 20;
  yield hash.digest();
}
