import { isUtf8 } from 'node:buffer';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import { oidLength } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { checkTree } from './tree-grammar.ts';
import { Unclear } from './unclear.ts';

/** What the check of an object reports. */
export interface Findings {
  /** The object names another, which must be of this type. */
  link(oid: Oid, type: ObjectType): void;
  /** A tree holds a blob under a name whose content git checks. */
  namedBlob(name: string, oid: Oid): void;
}

/** A larger one is no commit object that a person made. */
const MAX_TEXT_OBJECT_BYTES = 64 * 1024;

/** The known attacks on SHA-1 need two blocks of 64 bytes in a row: what is shorter than one has no room for them. */
const COLLISION_BLOCK_BYTES = 64;

/**
 * Checks that an object has the form git gives it, by a grammar stricter than git-fsck(1) with `--strict`.
 * @throws Unclear when it hasn't
 */
export function checkObject(type: ObjectType, body: Buffer, format: ObjectFormat, findings: Findings): void {
  switch (type) {
    case 'commit': return checkCommit(body, format, findings);
    case 'tree': return checkTree(body, format, findings);
    case 'tag': return checkTag(body, format, findings);
    case 'blob': return checkBlob(body, format);
  }
}

// Objects are matched as latin1, one character for each byte.
const HEX = '[0-9a-f]';
// A name, an address, seconds since 1970 and a time zone. No ten-digit number overflows anyone's clock.
const IDENT = '[^<>\\n]* <[^<>\\n]*> (?:0|[1-9][0-9]{0,9}) [+-][0-9]{4}';
const FURTHER_HEADER = '(?!tree |parent |author |committer )[a-z][a-z0-9-]* [^\\n]*\\n(?: [^\\n]*\\n)*';

const GRAMMARS = { sha1: grammar('sha1'), sha256: grammar('sha256') };

function grammar(format: ObjectFormat): { commit: RegExp; tag: RegExp } {
  const oid = `${HEX}{${oidLength(format)}}`;
  return {
    commit: new RegExp(
      `^tree (${oid})\\n((?:parent ${oid}\\n)*)author ${IDENT}\\ncommitter ${IDENT}\\n(?:${FURTHER_HEADER})*\\n`),
    tag: new RegExp(
      `^object (${oid})\\ntype (commit|tree|blob|tag)\\ntag [A-Za-z0-9][A-Za-z0-9._/+-]*\\ntagger ${IDENT}\\n\\n`),
  };
}

function checkCommit(body: Buffer, format: ObjectFormat, findings: Findings): void {
  const match = GRAMMARS[format].commit.exec(textOf(body));
  if (match === null) throw new Unclear('unusual commit object');
  findings.link(match[1]!, 'tree');
  for (const line of match[2]!.split('\n')) if (line !== '') findings.link(line.slice('parent '.length), 'commit');
}

function checkTag(body: Buffer, format: ObjectFormat, findings: Findings): void {
  const match = GRAMMARS[format].tag.exec(textOf(body));
  if (match === null) throw new Unclear('unusual tag object');
  findings.link(match[1]!, match[2] as ObjectType);
}

/** docs/decisions/002: what could hide a collision of the known kinds goes to git, which looks for them. */
function checkBlob(body: Buffer, format: ObjectFormat): void {
  if (format === 'sha1' && body.length >= COLLISION_BLOCK_BYTES && !isText(body)) throw new Unclear('binary blob');
}

function textOf(body: Buffer): string {
  if (body.length > MAX_TEXT_OBJECT_BYTES) throw new Unclear('very large commit or tag object');
  if (!isText(body)) throw new Unclear('commit or tag object is not plain text');
  return body.toString('latin1');
}

/** UTF-8 without control characters but tab, line feed, form feed and carriage return. */
function isText(body: Buffer): boolean {
  return isUtf8(body) && !/[\x00-\x08\x0b\x0e-\x1f\x7f]/.test(body.toString('latin1'));
}
