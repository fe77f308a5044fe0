import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { isHiddenRef } from '@trivet/proto/ref-name.ts';
import type { Oid } from '@trivet/proto/object-format.ts';
import type { Served } from './served.ts';
import { packetText, type RequestPacket } from './request-packets.ts';

/** What a client wants to know from `command=ls-refs` of gitprotocol-v2(5). */
export interface LsRefs {
  peel: boolean;
  symrefs: boolean;
  unborn: boolean;
  /** Names must start with one of these; empty stands for no restriction. */
  prefixes: readonly string[];
}

/** From so many `ref-prefix` lines on git ignores them all, because there were too many to keep. */
export const TOO_MANY_PREFIXES = 65536;

/**
 * Reads the arguments of ls-refs.
 * @param packets what follows the delimiter (nothing when the request had none), up to the end of the request
 * @returns `undefined` for anything that is not plainly understood; git decides about that
 */
export function parseLsRefs(packets: readonly RequestPacket[]): LsRefs | undefined {
  if (packets.at(-1) !== 'flush') return undefined;
  const request = { peel: false, symrefs: false, unborn: false };
  const prefixes: string[] = [];
  for (const packet of packets.slice(0, -1)) {
    const line = typeof packet === 'string' ? undefined : packetText(packet);
    if (line === undefined) return undefined;
    if (line === 'peel' || line === 'symrefs' || line === 'unborn') request[line] = true;
    else if (line.startsWith('ref-prefix ')) prefixes.push(line.slice('ref-prefix '.length));
    else return undefined;
  }
  return { ...request, prefixes: prefixes.length >= TOO_MANY_PREFIXES ? [] : minimalPrefixes(prefixes) };
}

/** The whole answer to ls-refs, from memory, byte for byte what git says of the same refs. */
export async function answerLsRefs(served: Served, request: LsRefs): Promise<Buffer> {
  // Everything is taken from the view before the first await: the view may move to the next generation meanwhile.
  const { head } = served.refs;
  const headOid = served.refs.get(head);
  const listed: (readonly [name: string, oid: Oid | undefined])[] = [];
  const headIsShown = headOid !== undefined || (request.unborn && request.symrefs);
  if (headIsShown && startsWithAny('HEAD', request.prefixes)) listed.push(['HEAD', headOid]);
  for (const ref of served.refs.entries()) {
    if (!isHiddenRef(ref[0]) && startsWithAny(ref[0], request.prefixes)) listed.push(ref);
  }
  const peeled = new Map<Oid, Oid>();
  if (request.peel) {
    const oids = listed.flatMap(([, oid]) => oid ?? []);
    const targets = await served.peel(oids);
    oids.forEach((oid, i) => { if (targets[i] !== undefined) peeled.set(oid, targets[i]); });
  }
  const lines = listed.map(([name, oid]) => {
    const symref = name === 'HEAD' && request.symrefs ? ` symref-target:${head}` : '';
    const target = oid === undefined ? undefined : peeled.get(oid);
    return encodePacket(`${oid ?? 'unborn'} ${name}${symref}${target === undefined ? '' : ` peeled:${target}`}\n`);
  });
  return Buffer.concat([...lines, FLUSH]);
}

/** Sorted, and without those that another one covers: then no prefix is the beginning of its successor. */
function minimalPrefixes(prefixes: readonly string[]): string[] {
  const kept: string[] = [];
  for (const prefix of prefixes.toSorted()) {
    const last = kept.at(-1);
    if (last === undefined || !prefix.startsWith(last)) kept.push(prefix);
  }
  return kept;
}

/**
 * Whether `name` begins with one of `prefixes`, which `minimalPrefixes` made. Only the last one that sorts up to
 * `name` can be its beginning, so thousands of prefixes cost a few comparisons for each ref.
 */
function startsWithAny(name: string, prefixes: readonly string[]): boolean {
  if (prefixes.length === 0) return true;
  let low = 0;
  let high = prefixes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (prefixes[middle]! <= name) low = middle + 1;
    else high = middle;
  }
  return low > 0 && name.startsWith(prefixes[low - 1]!);
}
