import type { Oid } from '@trivet/proto/object-format.ts';
import type { ObjectReaders } from '../git/object-reader.ts';
import type { Replica } from './replica.ts';

/** Tags that name tags: git has no limit, nobody has needed more. */
const MAX_DEPTH = 10;
const MAX_REMEMBERED = 200_000;

/**
 * What each tag object finally points at; undefined for objects that aren't tags. Objects never change, so the answers
 * are remembered with the replica.
 */
export function makePeeler(replica: Replica, readers: ObjectReaders): (oids: readonly Oid[]) => Promise<(Oid | undefined)[]> {
  return async (oids) => {
    const unknown = [...new Set(oids.filter((oid) => !replica.peeled.has(oid)))];
    if (unknown.length > 0) await learn(replica, readers, unknown);
    return oids.map((oid) => replica.peeled.get(oid));
  };
}

async function learn(replica: Replica, readers: ObjectReaders, oids: readonly Oid[]): Promise<void> {
  if (replica.peeled.size > MAX_REMEMBERED) replica.peeled.clear();
  const reader = readers.get(replica.gitDir, replica.objectFormat);
  const infos = await reader.info(oids);
  const tags = oids.filter((_, i) => infos[i]?.type === 'tag');
  oids.forEach((oid, i) => { if (infos[i]?.type !== 'tag') replica.peeled.set(oid, undefined); });
  let open = new Map(tags.map((oid) => [oid, oid]));
  for (let depth = 0; open.size > 0 && depth < MAX_DEPTH; depth++) {
    const entries = [...open];
    const contents = await reader.contents(entries.map(([, at]) => at));
    open = new Map();
    entries.forEach(([tag], i) => {
      const target = /^object ([0-9a-f]+)\ntype (\w+)\n/.exec(contents[i]?.body.toString('latin1', 0, 200) ?? '');
      if (target === null) return;
      if (target[2] === 'tag') open.set(tag, target[1]!);
      else replica.peeled.set(tag, target[1]!);
    });
  }
}
