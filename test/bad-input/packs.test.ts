import { randomBytes } from 'node:crypto';
import anyTest, { type TestFn } from 'ava';
import { gzipSync } from 'node:zlib';
import {
  blob, buildPack, commit, encodeEntry, idOf, IDENT, refDelta, tag, tree, whole, type TestEntry, type TestObject,
} from '../../replica/quarantine/test-pack.ts';
import { expectNothingLeft } from '../cluster.ts';
import { pushBody, soundHistory, Target, ZERO } from './target.ts';

const test = anyTest as TestFn<{ target: Target }>;
const SMALL_PACK_BYTES = 8_192;
const MAX_PACK_BYTES = 400_000;

test.before(async (t) => {
  t.context = { target: await Target.start({ environment: {
    TRIVET_SMALL_PACK_BYTES: String(SMALL_PACK_BYTES), TRIVET_MAX_PACK_BYTES: String(MAX_PACK_BYTES), TRIVET_MAX_PUSH_BYTES: '1000000',
  } }) };
});
test.after.always(async (t) => { await t.context.target.cluster.stop(); });

const id = (object: TestObject) => idOf(object, 'sha1');
const absent = 'ab'.repeat(20);
const { objects, tip } = soundHistory('never accepted');
const [, root, file] = objects as [TestObject, TestObject, TestObject];

interface Case {
  name: string;
  /** @param padding sound entries that make the pack as large as it has to be */
  pack(padding: TestEntry[]): Buffer;
  tip?: string;
  says: RegExp;
}

const sound = (padding: TestEntry[]) => buildPack([...padding, ...objects.map(whole)], 'sha1');
const withBytes = (change: (pack: Buffer) => Buffer | void) => (padding: TestEntry[]) => {
  const pack = sound(padding);
  return change(pack) ?? pack;
};
/** Sound but for one commit object, which the ref is to point at. */
const bad = (name: string, object: TestObject, says = /unpack (?!ok)/, others: TestObject[] = []): Case => ({
  name, tip: id(object), says, pack: (padding) => buildPack([...padding, ...[...others, object].map(whole)], 'sha1'),
});

const cases: Case[] = [
  ...[0, 3, 12, 13, 40].map((bytes): Case => ({
    name: `a pack cut after ${bytes} bytes`, says: /unpack (?!ok)/, pack: withBytes((pack) => pack.subarray(0, bytes)),
  })),
  { name: 'a pack cut in the middle', says: /unpack (?!ok)/, pack: withBytes((pack) => pack.subarray(0, pack.length / 2)) },
  { name: 'a pack without its checksum', says: /unpack (?!ok)/, pack: withBytes((pack) => pack.subarray(0, -20)) },
  { name: 'a pack without its last byte', says: /unpack (?!ok)/, pack: withBytes((pack) => pack.subarray(0, -1)) },
  { name: 'a pack with a wrong checksum', says: /unpack the pack's checksum is wrong/, pack: withBytes((pack) => { pack[pack.length - 1]! ^= 1; }) },
  { name: 'a pack with a flipped bit in an object', says: /unpack (?!ok)/, pack: withBytes((pack) => { pack[Math.floor(pack.length / 2)]! ^= 4; }) },
  { name: 'bytes after the end of a pack', says: /unpack bytes after the end of the pack|unpack (?!ok)/, pack: withBytes((pack) => Buffer.concat([pack, Buffer.from('more')])) },
  { name: 'a second pack after the first', says: /unpack (?!ok)/, pack: withBytes((pack) => Buffer.concat([pack, pack])) },
  { name: 'something that is no pack', says: /unpack not a pack|unpack (?!ok)/, pack: (padding) => Buffer.alloc(20 + padding.length * 50_000, 'text ') },
  { name: 'a pack of another version', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole)], 'sha1', { version: 9 }) },
  { name: 'more objects than announced', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole)], 'sha1', { count: 1 }) },
  { name: 'fewer objects than announced', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole)], 'sha1', { count: 99 }) },
  { name: 'four billion objects announced', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole)], 'sha1', { count: 0xffffffff }) },
  { name: 'no objects at all', says: /unpack (?!ok)|ng .* missing/, pack: () => buildPack([], 'sha1') },
  { name: 'an object larger than it says', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole), { kind: 3, data: Buffer.from('long text'), declaredSize: 2 }], 'sha1') },
  { name: 'an object smaller than it says', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole), { kind: 3, data: Buffer.from('x'), declaredSize: 5_000 }], 'sha1') },
  { name: 'an object of a terabyte, so it says', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole), { kind: 3, data: Buffer.from('x'), declaredSize: 2 ** 40 }], 'sha1') },
  { name: 'an object of no known type', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole), { kind: 5, data: Buffer.from('x') }], 'sha1') },
  { name: 'a delta whose base is nowhere', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole), refDelta(absent, Buffer.from([1, 1, 1, 65]))], 'sha1') },
  { name: 'an object that is no zlib stream', says: /unpack (?!ok)/, pack: (padding) => buildPack([...padding, ...objects.map(whole), { kind: 3, data: Buffer.from('x'), deflated: Buffer.from('garbage garbage') }], 'sha1') },
  { name: 'the same object twice in a pack for a ref that is elsewhere', says: /unpack (?!ok)|ng /, tip: absent, pack: (padding) => buildPack([...padding, whole(file), whole(file)], 'sha1') },
  { name: 'a pack that lacks the new value', says: /unpack missing necessary objects|ng .* missing/, tip: absent, pack: sound },
  bad('a commit object whose tree is missing', commit({ tree: absent }), /unpack (?!ok)/),
  bad('a commit object whose parent is missing', commit({ tree: id(root), parents: [absent] }), /unpack (?!ok)/, [root, file]),
  bad('a tree whose blob is missing', commit({ tree: id(tree([['100644', 'a', absent]])) }), /unpack (?!ok)/, [tree([['100644', 'a', absent]])]),
  bad('a tree whose subtree is missing', commit({ tree: id(tree([['40000', 'a', absent]])) }), /unpack (?!ok)/, [tree([['40000', 'a', absent]])]),
  bad('a tag whose object is missing', tag(absent, 'commit')),
  bad('a commit object whose tree is a blob', commit({ tree: id(file) }), /unpack (?!ok)/, [file]),
  bad('a commit object without an author', { type: 'commit', body: Buffer.from(`tree ${id(root)}\ncommitter ${IDENT}\n\nx\n`) }, /unpack (?!ok)/, [root, file]),
  bad('a commit object that is no text', { type: 'commit', body: randomBytes(60) }),
  bad('a commit object dated after the end of time', commit({ tree: id(root), author: 'A <a@b> 99999999999999999999 +0000' }), /unpack (?!ok)/, [root, file]),
  bad('a tree with .git in it', commit({ tree: id(tree([['40000', '.git', id(root)]])) }), /unpack (?!ok)/, [tree([['40000', '.git', id(root)]]), root, file]),
  bad('a tree with .. in it', commit({ tree: id(tree([['40000', '..', id(root)]])) }), /unpack (?!ok)/, [tree([['40000', '..', id(root)]]), root, file]),
  bad('a tree with a name with a slash', commit({ tree: id(tree([['100644', 'a/b', id(file)]])) }), /unpack (?!ok)/, [tree([['100644', 'a/b', id(file)]]), file]),
  bad('a tree with one name twice', commit({ tree: id(tree([['100644', 'a', id(file)], ['100644', 'a', id(file)]])) }), /unpack (?!ok)/,
    [tree([['100644', 'a', id(file)], ['100644', 'a', id(file)]]), file]),
  bad('a tree out of order', commit({ tree: id(tree([['100644', 'b', id(file)], ['100644', 'a', id(file)]])) }), /unpack (?!ok)/,
    [tree([['100644', 'b', id(file)], ['100644', 'a', id(file)]]), file]),
];

for (const [size, padding] of [['small', []], ['large', [whole(blob(randomBytes(50_000)))]]] as [string, TestEntry[]][]) {
  for (const { name, pack, says, tip: aim = tip } of cases) {
    test.serial(`${name} is refused, in a ${size} pack`, async (t) => {
      const { target } = t.context;
      await target.unharmed(t, async () => {
        const answer = await target.push(pushBody({ commands: [`${ZERO} ${aim} refs/heads/bad`], pack: pack(padding) }));
        t.is(answer.status, 200);
        t.regex(answer.body, says);
        t.regex(answer.body, /ng refs\/heads\/bad /);
        t.notRegex(answer.body, /quarantine|\/tmp|repositories/, 'no path of the server is told');
      });
    });
  }
}

test.serial('a pack larger than a node takes in is refused by name', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const pack = buildPack([whole(blob(randomBytes(MAX_PACK_BYTES))), ...objects.map(whole)], 'sha1');
    const answer = await target.push(pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`], pack }));
    t.regex(answer.body, /unpack pack exceeds maximum allowed size/);
  });
});

for (const headers of [{}, { 'content-encoding': 'gzip' }] as Record<string, string>[]) {
  test.serial(`a push larger than the controller takes is refused by name (${JSON.stringify(headers)})`, async (t) => {
    const { target } = t.context;
    await target.unharmed(t, async () => {
      const body = pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`], pack: Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1'), Buffer.alloc(3_000_000)]) });
      const answer = await target.push('content-encoding' in headers ? gzipSync(body) : body, headers);
      // A damaged pack may be refused before the limit is reached.
      if (answer.status === 200) t.regex(answer.body, /unpack (?!ok)/);
      else {
        t.is(answer.status, 413);
        t.regex(answer.body, /the request body is larger than this server accepts\n  limit: 1000000/);
      }
    });
  });
}

test.serial('a sound beginning and then more bytes than the controller takes is refused as too large', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    // One object that never ends, so that no node can refuse it before.
    const endless = encodeEntry({ kind: 3, data: randomBytes(350_000), declaredSize: 350_000 });
    const begin = buildPack([], 'sha1', { count: 5 }).subarray(0, 12);
    const answer = await target.push(pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`], pack: Buffer.concat([begin, endless, endless, endless]) }));
    t.regex(answer.body, /unpack pack exceeds|larger than this server accepts/);
  });
});

test.serial('a pack where none is expected is refused', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const answer = await target.push(pushBody({ commands: [`${tip} ${ZERO} refs/heads/none`], pack: sound([]) }));
    t.is(answer.status, 400);
    t.regex(answer.body, /the request body goes on after its end/);
  });
});

test.serial('a corrupt pack that has hardly begun is answered, and the rest of it read, on a connection that lives on', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const pack = Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x05', 'latin1'), randomBytes(900_000)]);
    const answer = await target.push(pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`], pack }));
    t.regex(answer.body, /unpack (?!ok)/);
  });
});

test.serial('after all of them the replicas are equal and sound', async (t) => {
  await expectNothingLeft(t.context.target.cluster);
  await t.context.target.finish(t);
});
