import { isUtf8 } from 'node:buffer';
import { zeroOid, type ObjectFormat } from '@trivet/proto/object-format.ts';
import { rawOidLength } from './pack-parser.ts';
import { Unclear } from './unclear.ts';
import type { Findings } from './object-grammar.ts';

/** File systems have no longer names, and newer git warns of them. */
const MAX_NAME_BYTES = 255;

const SPACE = 0x20;
const SLASH = 0x2f;

/**
 * Bytes a name may not have here: control characters, the slash, and whatever NTFS reads in another way than it is
 * written (`\`, `:`, and `~` of its short names).
 */
const UNCLEAR_BYTES = new Set([...Array(0x20).keys(), 0x7f, ...Buffer.from('/\\:~')]);

/** Names that begin like `.git` and are still ordinary. Any other such name is git's to judge. */
const ORDINARY_DOT_GIT_NAMES = new Set([
  '.gitignore', '.gitkeep', '.github', '.gitlab', '.gitlab-ci.yml', '.gitea', '.gitmessage', '.git-blame-ignore-revs',
]);

/** Files whose content git's own check reads. */
const JUDGED_NAMES = new Set(['.gitmodules', '.gitattributes']);

type EntryKind = 'blob' | 'tree' | 'commit';

/**
 * Checks a tree by rules stricter than those of git-fsck(1) and reports what it links to.
 *
 * Accepted: the five modes git writes today, in their canonical form; entries in git's order without duplicates; names
 * that no file system could take for `.git`, `.`, `..`, or one of the files that git reads.
 * @throws Unclear for everything else
 */
export function checkTree(body: Buffer, format: ObjectFormat, findings: Findings): void {
  const oidBytes = rawOidLength(format);
  const zero = zeroOid(format);
  /** Files that could still turn up again as a directory: between `a` and `a/` stands everything like `a.b`. */
  let prefixes: Name[] = [];
  let previous: Name | undefined;
  let at = 0;
  while (at < body.length) {
    const nameStart = body.indexOf(SPACE, at) + 1;
    const mode = nameStart === 0 ? '' : body.toString('latin1', at, Math.min(nameStart - 1, at + 7));
    const kind = kindOfMode(mode);
    const nameEnd = body.indexOf(0, nameStart);
    const end = nameEnd + 1 + oidBytes;
    if (kind === undefined || nameEnd === -1 || end > body.length) throw new Unclear('malformed or unusual tree entry');

    const name: Name = { body, start: nameStart, end: nameEnd, isTree: kind === 'tree' };
    const oid = body.toString('hex', nameEnd + 1, end);
    if (oid === zero) throw new Unclear('null id in a tree');
    checkName(body.subarray(nameStart, nameEnd), mode, oid, findings);

    if (previous !== undefined && compareNames(previous, name) >= 0) throw new Unclear('tree not sorted');
    prefixes = prefixes.filter((file) => isPrefix(file, name));
    if (prefixes.some((file) => lengthOf(file) === lengthOf(name))) throw new Unclear('a name is in a tree twice');
    if (kind !== 'tree') prefixes.push(name);
    previous = name;

    // A gitlink names a commit of another repository.
    if (kind !== 'commit') findings.link(oid, kind);
    at = end;
  }
}

/** What a tree of the store links to, as `kind oid`. That tree was checked when it came in. */
export function linksOfStoredTree(body: Buffer, format: ObjectFormat): Set<string> {
  const oidBytes = rawOidLength(format);
  const links = new Set<string>();
  let at = 0;
  while (at < body.length) {
    const nameStart = body.indexOf(SPACE, at) + 1;
    const nameEnd = body.indexOf(0, at);
    const kind = kindOfMode(body.toString('latin1', at, nameStart - 1));
    if (nameStart === 0 || nameEnd === -1) return links;
    const end = nameEnd + 1 + oidBytes;
    if (kind !== undefined && kind !== 'commit') links.add(`${kind} ${body.toString('hex', nameEnd + 1, end)}`);
    at = end;
  }
  return links;
}

function kindOfMode(mode: string): EntryKind | undefined {
  switch (mode) {
    case '100644': case '100755': case '120000': return 'blob';
    case '40000': return 'tree';
    case '160000': return 'commit';
    default: return undefined;
  }
}

interface Name {
  body: Buffer;
  start: number;
  end: number;
  isTree: boolean;
}

function checkName(name: Buffer, mode: string, oid: string, findings: Findings): void {
  if (name.length === 0 || name.length > MAX_NAME_BYTES) throw new Unclear('empty or very long name in a tree');
  let isAscii = true;
  for (const byte of name) {
    if (byte >= 0x80) isAscii = false;
    else if (IS_UNCLEAR[byte]) throw new Unclear('unusual byte in the name of a tree entry');
  }
  // HFS+ ignores some characters, all of them beyond ASCII: taking away everything beyond ASCII takes those away too.
  // Text only, so that no collision block of the known attacks on SHA-1 fits into a name (docs/decisions/002).
  if (!isAscii && !isUtf8(name)) throw new Unclear('name in a tree is not UTF-8');
  if (isAscii && name[0] !== 0x2e) return;
  const visible = String.fromCharCode(...name.filter((byte) => byte < 0x80));
  if (visible === '.' || visible === '..') throw new Unclear('. or .. in a tree');
  if (!visible.toLowerCase().startsWith('.git')) return;
  if (!isAscii) throw new Unclear('name in a tree could be read as .git');
  if (ORDINARY_DOT_GIT_NAMES.has(visible)) return;
  if (!JUDGED_NAMES.has(visible) || !mode.startsWith('100')) throw new Unclear('name in a tree resembles .git');
  findings.namedBlob(visible, oid);
}

const IS_UNCLEAR: readonly boolean[] = Array.from({ length: 0x80 }, (_, byte) => UNCLEAR_BYTES.has(byte));

/** git's order: by bytes, a directory as if its name ended in a slash. Below zero when `a` comes first. */
function compareNames(a: Name, b: Name): number {
  const common = Math.min(lengthOf(a), lengthOf(b));
  const order = a.body.compare(b.body, b.start, b.start + common, a.start, a.start + common);
  return order !== 0 ? order : byteAfter(a, common) - byteAfter(b, common);
}

function byteAfter(name: Name, length: number): number {
  if (length < lengthOf(name)) return name.body[name.start + length]!;
  return name.isTree ? SLASH : 0;
}

function isPrefix(prefix: Name, name: Name): boolean {
  const length = lengthOf(prefix);
  if (length > lengthOf(name)) return false;
  return prefix.body.compare(name.body, name.start, name.start + length, prefix.start, prefix.end) === 0;
}

function lengthOf(name: Name): number {
  return name.end - name.start;
}
