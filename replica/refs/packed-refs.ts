import { isOid, isZeroOid, oidLength, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { isRefName } from '@trivet/proto/ref-name.ts';
import { malformedRefs } from './malformed-refs.ts';

export const PACKED_REFS = 'packed-refs';

/**
 * What we may promise readers of a file we write: its order. git's `fully-peeled` would promise in addition that a
 * ref without a `^` line is no annotated tag, which we don't know of refs that were pushed; git then looks by itself.
 */
const HEADER = '# pack-refs with: sorted \n';

const NEWLINE = 0x0a;
const CARET = 0x5e;
const SPACE = 0x20;
const MAX_HEADER_BYTES = 200;

export interface PackedRefs {
  refs: Map<string, Oid>;
  /** By the id of an annotated tag, what it points at in the end. True for ever, as objects don't change. */
  peeled: Map<Oid, Oid>;
}

/** Reads a packed-refs file (git-pack-refs(1)). Throws TrivetError `internal` on whatever git would not have written. */
export function parsePackedRefs(content: Buffer, format: ObjectFormat): PackedRefs {
  const lines = decode(content).split('\n');
  if (lines.pop() !== '') throw malformedRefs(PACKED_REFS, 'the last line is not terminated');
  const packed: PackedRefs = { refs: new Map(), peeled: new Map() };
  const digits = oidLength(format);
  let last: Oid | undefined;
  for (const line of lines) {
    if (line.startsWith('#')) continue;
    if (line.startsWith('^')) {
      if (last === undefined || !isOid(line.slice(1), format)) throw malformedRefs(PACKED_REFS, `line "${line}"`);
      packed.peeled.set(last, line.slice(1));
      last = undefined;
      continue;
    }
    const [oid, name] = [line.slice(0, digits), line.slice(digits + 1)];
    if (!isOid(oid, format) || isZeroOid(oid) || line[digits] !== ' ' || !isRefName(name)) {
      throw malformedRefs(PACKED_REFS, `line "${line}"`);
    }
    if (packed.refs.has(name)) throw malformedRefs(PACKED_REFS, `${name} is listed twice`);
    packed.refs.set(name, oid);
    last = oid;
  }
  return packed;
}

/** @param entries sorted by the bytes of their names */
export function packedRefsText(entries: Iterable<readonly [string, Oid]>, peeled: ReadonlyMap<Oid, Oid>): string {
  const lines = [HEADER];
  for (const [name, oid] of entries) {
    const target = peeled.get(oid);
    lines.push(target === undefined ? `${oid} ${name}\n` : `${oid} ${name}\n^${target}\n`);
  }
  return lines.join('');
}

/**
 * A packed-refs file without some of its refs and otherwise byte for byte the same, header included; undefined when it
 * has none of them. Nothing is parsed: in a file that says it is sorted, a ref among 100,000 is found in 17 looks.
 */
export function withoutPackedRefs(content: Buffer, names: Iterable<string>): Buffer | undefined {
  const sorted = /^# pack-refs with:[^\n]* sorted /.test(content.toString('latin1', 0, MAX_HEADER_BYTES));
  const cuts: [start: number, end: number][] = [];
  for (const name of names) {
    const start = sorted ? searchSorted(content, Buffer.from(name)) : search(content, Buffer.from(` ${name}\n`));
    if (start === undefined) continue;
    let end = lineEnd(content, start);
    if (content[end] === CARET) end = lineEnd(content, end);
    cuts.push([start, end]);
  }
  if (cuts.length === 0) return undefined;
  const kept: Buffer[] = [];
  let position = 0;
  for (const [start, end] of cuts.sort(([a], [b]) => a - b)) {
    kept.push(content.subarray(position, start));
    position = end;
  }
  return Buffer.concat([...kept, content.subarray(position)]);
}

/** Where the line of a ref begins, by bisection. */
function searchSorted(content: Buffer, name: Buffer): number | undefined {
  let low = lineEnd(content, 0); // behind the header
  let high = content.length;
  while (low < high) {
    let start = lineStart(content, low + Math.floor((high - low) / 2));
    if (content[start] === CARET) start = lineStart(content, start - 1);
    const end = lineEnd(content, start);
    const order = Buffer.compare(name, content.subarray(content.indexOf(SPACE, start) + 1, end - 1));
    if (order === 0) return start;
    if (order < 0) high = start;
    else low = content[end] === CARET ? lineEnd(content, end) : end;
  }
  return undefined;
}

/** The same in a file of unknown order. A name holds neither space nor newline, so only a whole name can match. */
function search(content: Buffer, nameInLine: Buffer): number | undefined {
  const at = content.indexOf(nameInLine);
  return at === -1 ? undefined : lineStart(content, at);
}

/** Where the line that has this position begins. */
function lineStart(content: Buffer, position: number): number {
  return position === 0 ? 0 : content.lastIndexOf(NEWLINE, position - 1) + 1;
}

/** Where the line that has this position is over and the next begins. */
function lineEnd(content: Buffer, position: number): number {
  const newline = content.indexOf(NEWLINE, position);
  return newline === -1 ? content.length : newline + 1;
}

function decode(content: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (error) {
    throw malformedRefs(PACKED_REFS, 'a name is not valid UTF-8', error);
  }
}
