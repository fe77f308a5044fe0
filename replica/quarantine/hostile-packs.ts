import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import { zeroOid } from '@trivet/proto/object-format.ts';
import {
  blob, buildPack, commit, delta, encodeEntry, idOf, IDENT, ofsDelta, refDelta, tag, tree, whole,
  type TestObject,
} from './test-pack.ts';

/** A pack, and what has to become of it. */
export interface PackCase {
  name: string;
  pack: Buffer;
  tips: Oid[];
  accepted: boolean;
  /** Who judges it when it is judged the fast way. */
  by: 'in process' | 'git';
}

/** What the store holds before any of the packs comes. */
export function storedObjects(format: ObjectFormat) {
  const text = blob('a line of text\n'.repeat(20));
  const folder = tree([['100644', 'inner.txt', idOf(text, format)]]);
  const root = tree([['100644', 'file.txt', idOf(text, format)], ['40000', 'folder', idOf(folder, format)]]);
  const first = commit({ tree: idOf(root, format) });
  return { list: [text, folder, root, first], text, folder, root, first };
}

/** Packs right and wrong. Each is judged in process, by our git way, and by a plain `git index-pack --strict`. */
export function packCases(format: ObjectFormat): PackCase[] {
  const id = (object: TestObject) => idOf(object, format);
  const absent = 'ab'.repeat(zeroOid(format).length / 2);
  const { text, folder, root, first } = storedObjects(format);
  const pack = (...objects: TestObject[]) => buildPack(objects.map(whole), format);
  const cases: PackCase[] = [];
  const add = (name: string, by: PackCase['by'], accepted: boolean, bytes: Buffer, ...tips: Oid[]) =>
    cases.push({ name, by, accepted, pack: bytes, tips });
  const accept = (name: string, bytes: Buffer, ...tips: Oid[]) => add(name, 'in process', true, bytes, ...tips);
  const acceptByGit = (name: string, bytes: Buffer, ...tips: Oid[]) => add(name, 'git', true, bytes, ...tips);
  const reject = (name: string, bytes: Buffer, ...tips: Oid[]) => add(name, 'git', false, bytes, ...tips);

  // --- sound
  const fresh = blob('something new\n');
  const freshRoot = tree([['100644', 'file.txt', id(fresh)], ['40000', 'folder', id(folder)]]);
  const second = commit({ tree: id(freshRoot), parents: [id(first)] });
  const sound = [second, freshRoot, fresh];
  const soundPack = pack(...sound);
  accept('a commit object, a tree and a blob', soundPack, id(second));
  accept('a tag of a stored commit object', pack(tag(id(first), 'commit')), id(tag(id(first), 'commit')));
  accept('a tag of a tag in the pack', pack(tag(id(first), 'commit'), tag(id(tag(id(first), 'commit')), 'tag')),
    id(tag(id(tag(id(first), 'commit')), 'tag')));
  accept('an empty blob', pack(blob('')), id(blob('')));
  accept('a signed commit object in another encoding', pack(commit({
    tree: id(root), more: 'encoding ISO-8859-1\ngpgsig -----BEGIN\n \n abc\n -----END\n' })));
  accept('a gitlink to a commit object of elsewhere', pack(tree([['160000', 'module', absent]])));
  accept('names beyond ASCII', pack(tree([['100644', 'é', id(text)], ['40000', '日本', id(folder)]])));
  accept('.gitignore and .github', pack(tree([['40000', '.github', id(folder)], ['100755', '.gitignore', id(text)]])));
  accept('an author without a name', pack(commit({ tree: id(root), author: ' <a@b> 0 -1200' })));
  accept('executable and symbolic link', pack(tree([['100755', 'a', id(text)], ['120000', 'b', id(text)]])));
  accept('a file and a directory whose names begin alike',
    pack(tree([['100644', 'a', id(text)], ['100644', 'a.b', id(text)], ['40000', 'ab', id(folder)]])));

  // --- sound deltas
  const longer = blob(Buffer.concat([text.body, Buffer.from('one more\n')]));
  const append = delta(text.body.length, text.body.length, 'one more\n');
  accept('a thin ref-delta', buildPack([refDelta(id(text), append)], format), id(longer));
  const local = blob('0123456789'.repeat(20));
  const ofs = ofsDelta(encodeEntry(whole(local)).length, delta(200, 200, 'more'));
  accept('an ofs-delta', buildPack([whole(local), ofs], format), id(blob(`${'0123456789'.repeat(20)}more`)));
  accept('a ref-delta before its base', buildPack([refDelta(id(local), delta(200, 200, 'x')), whole(local)], format));
  accept('an ofs-delta of a thin ref-delta', buildPack([refDelta(id(text), append),
    ofsDelta(encodeEntry(refDelta(id(text), append)).length, delta(longer.body.length, 300, 'end'))], format));

  // --- sound, but not clearly so
  acceptByGit('an object that is in the store already', pack(fresh, text), id(fresh));
  acceptByGit('.gitattributes', pack(tree([['100644', '.gitattributes', id(text)]])));
  acceptByGit('a commit object with a header of another tool', pack(commit({ tree: id(root), more: 'HG:extra x\n' })));
  acceptByGit('a tag without a tagger', pack(tag(id(first), 'commit', 'tag v1\n\nmessage\n')));
  acceptByGit('a message in Latin-1', pack({ type: 'commit', body: Buffer.from(
    `tree ${id(root)}\nauthor ${IDENT}\ncommitter ${IDENT}\n\ncaf\xe9\n`, 'latin1') }));
  acceptByGit('a pack of version 3', buildPack([whole(fresh)], format, { version: 3 }), id(fresh));
  if (format === 'sha1') acceptByGit('a binary blob', pack(blob(Buffer.alloc(200, 1))), id(blob(Buffer.alloc(200, 1))));
  else accept('a binary blob', pack(blob(Buffer.alloc(200, 1))), id(blob(Buffer.alloc(200, 1))));

  // --- the container
  const entries = sound.map(whole);
  reject('a wrong checksum', buildPack(entries, format, { checksum: Buffer.alloc(absent.length / 2, 7) }), id(second));
  reject('bytes after the end', Buffer.concat([soundPack, Buffer.from('x')]), id(second));
  reject('another pack after the end', Buffer.concat([soundPack, pack(blob('y'))]), id(second));
  reject('bytes after the end of a thin pack',
    Buffer.concat([buildPack([refDelta(id(text), append)], format), Buffer.from('x')]), id(longer));
  reject('fewer objects than announced', buildPack(entries, format, { count: 4 }), id(second));
  reject('more objects than announced', buildPack(entries, format, { count: 2 }), id(second));
  reject('an object more than announced, on which nothing depends',
    buildPack([whole(fresh), whole(blob('another'))], format, { count: 1 }), id(fresh));
  reject('a huge number of objects', buildPack(entries, format, { count: 0xffffffff }), id(second));
  reject('another signature', buildPack(entries, format, { signature: 'KCAP' }), id(second));
  reject('a pack of version 9', buildPack(entries, format, { version: 9 }), id(second));
  reject('nothing at all', Buffer.alloc(0), id(second));
  for (const [where, length] of [['within the header', 7], ['after the header', 12], ['after a first byte', 13],
    ['within an entry', 40], ['before the checksum', soundPack.length - absent.length / 2],
    ['within the checksum', soundPack.length - 1]] as const) {
    reject(`truncated ${where}`, soundPack.subarray(0, length), id(second));
  }

  // --- entries
  const entry = (change: object) => buildPack([{ ...whole(fresh), ...change }], format);
  reject('type 0', entry({ kind: 0 }));
  reject('type 5', entry({ kind: 5 }));
  reject('a declared size that is too small', entry({ declaredSize: 3 }));
  reject('a declared size that is too large', entry({ declaredSize: 300 }));
  reject('bytes that do not inflate', entry({ deflated: Buffer.from('this is not a zlib stream') }));
  const damaged = Buffer.from(encodeEntry(whole(local)).subarray(2));
  damaged[damaged.length - 1]! ^= 1;
  reject('a deflated stream with a wrong check value', buildPack([{ ...whole(local), deflated: damaged }], format));
  reject('a zip bomb behind a small declared size',
    buildPack([{ kind: 3, data: Buffer.alloc(30_000_000), declaredSize: 10 }], format));
  acceptByGit('a zip bomb that says so', buildPack([whole(blob(Buffer.alloc(20_000_000, 'a')))], format));
  reject('the same object twice', pack(fresh, fresh), id(fresh));

  // --- deltas
  const thin = (bytes: Buffer) => buildPack([refDelta(id(text), bytes)], format);
  reject('a delta for a base of another size', thin(delta(7, 5, 'x')));
  reject('a delta that copies beyond its base', thin(delta(text.body.length, 301, 'x')));
  reject('a delta with a larger declared result', thin(delta(text.body.length, 10, 'x', 12)));
  reject('a delta with a smaller declared result', thin(delta(text.body.length, 10, 'x', 9)));
  reject('a delta that ends within an instruction', thin(Buffer.from([0xac, 0x02, 5, 0x91])));
  reject('a delta that ends within an insertion', thin(Buffer.from([0xac, 0x02, 5, 5, 65])));
  reject('a delta with the reserved instruction', thin(Buffer.from([0xac, 0x02, 1, 0, 1, 65])));
  reject('a delta of two bytes', thin(Buffer.from([0xac, 0x02])));
  reject('a delta of three bytes that gives an empty object', thin(Buffer.from([0xac, 0x02, 0])));
  reject('a delta of nothing', thin(Buffer.alloc(0)));
  reject('an ofs-delta for a base of another size',
    buildPack([whole(local), ofsDelta(encodeEntry(whole(local)).length, delta(7, 5, 'x'))], format));
  reject('a ref-delta without a base', buildPack([refDelta(absent, append)], format));
  const a = delta(10, 5, 'aaaaa');
  reject('two ref-deltas that are each other\'s base',
    buildPack([refDelta(absent, a), refDelta('cd'.repeat(absent.length / 2), a)], format));
  reject('an ofs-delta of itself', buildPack([ofsDelta(0, append)], format));
  reject('an ofs-delta into the header', buildPack([ofsDelta(5, append)], format));
  reject('an ofs-delta before the pack', buildPack([ofsDelta(5000, append)], format));
  reject('an ofs-delta into the middle of an entry', buildPack([whole(local), ofsDelta(3, append)], format));

  // --- trees
  const file = (name: string | Buffer, mode = '100644', oid = id(text)) => [mode, name, oid] as const;
  reject('an unsorted tree', pack(tree([file('b'), file('a')])));
  reject('a tree with a name twice', pack(tree([file('a'), file('a')])));
  reject('a tree with a file and a directory of one name',
    pack(tree([file('a'), file('a.b'), file('a', '40000', id(folder))])));
  reject('a tree with a directory sorted as a file', pack(tree([file('a', '40000', id(folder)), file('a.b')])));
  for (const name of ['.', '..', '.git', '.GIT', '.git ', '.git.', 'git~1', 'GIT~1', '.git::$INDEX_ALLOCATION',
    'a/b', '', '.g\u200cit', '\u200c.git', 'x\\.git']) {
    reject(`a tree entry named ${JSON.stringify(name)}`, pack(tree([file(name)])));
  }
  for (const mode of ['100664', '100666', '644', '10644']) {
    acceptByGit(`a tree entry of mode "${mode}"`, pack(tree([file('a', mode)])));
  }
  for (const mode of ['0100644', '040000', '', 'x00644']) {
    reject(`a tree entry of mode ${JSON.stringify(mode)}`, pack(tree([file('a', mode)])));
  }
  acceptByGit('a name with a tilde', pack(tree([file('a~1')])));
  reject('.gitmodules with a dangerous URL', pack(
    tree([file('.gitmodules', '100644', id(blob('[submodule "x"]\n\turl = -u./payload\n')))]),
    blob('[submodule "x"]\n\turl = -u./payload\n')));
  reject('.gitmodules that is a symbolic link', pack(tree([file('.gitmodules', '120000')])));
  reject('.gitmodules that is a directory', pack(tree([file('.gitmodules', '40000', id(folder))])));
  reject('.gitattributes with an endless line', pack(
    tree([file('.gitattributes', '100644', id(blob('a '.repeat(2000))))]), blob('a '.repeat(2000))));
  reject('a null id in a tree', pack(tree([file('a', '100644', zeroOid(format))])));
  reject('a null id of a gitlink', pack(tree([file('a', '160000', zeroOid(format))])));
  reject('a tree that ends within an id', pack({ type: 'tree', body: tree([file('a')]).body.subarray(0, -1) }));
  reject('a tree that ends within a name', pack({ type: 'tree', body: Buffer.from('100644 abc') }));
  reject('a tree that ends within a mode', pack({ type: 'tree', body: Buffer.from('100644') }));

  // --- commit objects and tags
  const badCommit = (name: string, parts: Parameters<typeof commit>[0]) =>
    reject(`a commit object ${name}`, pack(commit({ tree: id(root), ...parts })));
  badCommit('without a tree', { tree: undefined });
  badCommit('with a malformed tree id', { tree: 'xyz' });
  badCommit('with a malformed parent id', { parents: ['xyz'] });
  badCommit('whose author has no address', { author: 'A U Thor 1700000000 +0000' });
  badCommit('whose author has no space before the address', { author: 'A<a@b> 1700000000 +0000' });
  badCommit('whose author is only an address', { author: '<a@b> 1700000000 +0000' });
  badCommit('whose address is not closed', { author: 'A <a@b 1700000000 +0000' });
  badCommit('whose author has a bracket too many', { author: 'A> <a@b> 1700000000 +0000' });
  badCommit('whose author has no date', { author: 'A <a@b>' });
  badCommit('with a padded date', { author: 'A <a@b> 01700000000 +0000' });
  badCommit('with an overflowing date', { author: 'A <a@b> 99999999999999999999 +0000' });
  badCommit('with a date before 1970', { author: 'A <a@b> -1 +0000' });
  badCommit('with a malformed time zone', { committer: 'A <a@b> 1700000000 0000' });
  badCommit('with a short time zone', { committer: 'A <a@b> 1700000000 +000' });
  badCommit('with two authors', { author: `${IDENT}\nauthor ${IDENT}` });
  badCommit('with a NUL in its message', { message: 'a\0b\n' });
  badCommit('with a NUL in its header', { more: 'x \0\n' });
  reject('a commit object of nothing', pack({ type: 'commit', body: Buffer.alloc(0) }));
  reject('a commit object without a committer', pack({ type: 'commit', body: Buffer.from(
    `tree ${id(root)}\nauthor ${IDENT}\n\nmessage\n`) }));
  reject('a commit object whose header does not end', pack({ type: 'commit', body: Buffer.from(
    `tree ${id(root)}\nauthor ${IDENT}\ncommitter ${IDENT}`) }));
  reject('a tag without a type', pack(tag(id(first), '')));
  reject('a tag of an unknown type', pack(tag(id(first), 'sticker')));
  reject('a tag with a bad tagger', pack(tag(id(first), 'commit', 'tag v1\ntagger nobody\n\nmessage\n')));
  reject('a tag without a name', pack(tag(id(first), 'commit', `tagger ${IDENT}\n\nmessage\n`)));

  // --- links
  reject('a missing blob', pack(second, freshRoot), id(second));
  reject('a missing tree', pack(second, fresh), id(second));
  reject('a missing parent', pack(commit({ tree: id(root), parents: [absent] })));
  reject('a tag to a missing object', pack(tag(absent, 'commit')));
  reject('a tag that says another type, of a stored object', pack(tag(id(root), 'commit')));
  reject('a tag that says another type, of an object of the pack', pack(fresh, tag(id(fresh), 'tree')));
  reject('a directory that is a stored blob', pack(tree([file('a', '40000', id(text))])));
  reject('a directory that is a blob of the pack', pack(fresh, tree([file('a', '40000', id(fresh))])));
  reject('a file that is a stored tree', pack(tree([file('a', '100644', id(folder))])));
  reject('a commit object whose tree is a blob', pack(commit({ tree: id(text) })));
  reject('a parent that is a tree', pack(commit({ tree: id(root), parents: [id(root)] })));
  reject('an id that is a file here and a directory there', pack(tree([file('a'), file('b', '40000')])));
  const swapped = delta(folder.body.length, folder.body.length - absent.length / 2, '');
  reject('a thin tree that names a missing blob', buildPack([refDelta(id(folder),
    Buffer.concat([delta(folder.body.length, folder.body.length - absent.length / 2, '', folder.body.length),
      Buffer.from([absent.length / 2]), Buffer.from(absent, 'hex')]))], format));
  reject('a thin tree cut off within an id', buildPack([refDelta(id(folder), swapped)], format));

  // --- tips
  add('a tip that is nowhere', 'in process', false, soundPack, id(second), absent);
  accept('a tip that is in the store already', soundPack, id(second), id(first));
  return cases;
}
