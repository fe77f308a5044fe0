import { encodeCommands, ZERO_OID } from '../client/push.ts';
import { encodePack, oidOf, treeEntry, type ObjectType } from './pack.ts';
import type { PreparedPush } from './push-chains.ts';
import { Random } from './random.ts';

const FILES = 50;
const DIRECTORIES = 5;
const BLOB_BYTES = 400;
const FIRST_SECOND = 1_700_000_000;

interface PackObject {
  type: ObjectType;
  content: Buffer;
  oid: Buffer;
}

/**
 * Small pushes without an end, for a load that goes on until something has happened: each one commit that changes one
 * file of 400 bytes in a tree of fifty, built in 0.2 ms just before it is sent. Those of `push-chains.ts` are made by
 * git, as thin packs, and have to be counted beforehand.
 */
export class PushChain {
  /** The push every chain builds on, which makes `main`. */
  static base(): PreparedPush {
    const { tree, objects } = baseTree();
    const commit = commitOf(tree.oid, undefined, 'base', 0);
    const updates = [{ ref: 'refs/heads/main', old: ZERO_OID, new: commit.oid.toString('hex') }];
    return { body: Buffer.concat([encodeCommands(updates), encodePack([...objects, commit])]), updates };
  }

  readonly ref: string;
  readonly #random: Random;
  readonly #files = baseTree().files;
  #tip: Buffer;
  #steps = 0;

  /** @param name of the branch; also the seed, so that no two chains bring the same object */
  constructor(name: string) {
    this.ref = `refs/heads/${name}`;
    this.#random = new Random(name);
    this.#tip = commitOf(baseTree().tree.oid, undefined, 'base', 0).oid;
  }

  /** The next push, which makes the branch or moves it on from where the one before left it. */
  next(): PreparedPush {
    const step = this.#steps++;
    const place = step % FILES;
    const blob = blobOf(this.#random);
    this.#files[place] = blob;
    const directory = directoryOf(this.#files, place % DIRECTORIES);
    const tree = rootOf(this.#files);
    const before = this.#tip;
    const commit = commitOf(tree.oid, before, `change ${step} of ${this.ref}`, 1 + step);
    this.#tip = commit.oid;
    const updates = [{
      ref: this.ref, old: step === 0 ? ZERO_OID : before.toString('hex'), new: commit.oid.toString('hex'),
    }];
    return { body: Buffer.concat([encodeCommands(updates), encodePack([blob, directory, tree, commit])]), updates };
  }
}

function baseTree(): { tree: PackObject; objects: PackObject[]; files: PackObject[] } {
  const random = new Random('push chain');
  const files = Array.from({ length: FILES }, () => blobOf(random));
  const directories = Array.from({ length: DIRECTORIES }, (_, i) => directoryOf(files, i));
  const tree = rootOf(files);
  return { tree, objects: [...files, ...directories, tree], files };
}

function blobOf(random: Random): PackObject {
  return object('blob', Buffer.from(random.bytes((BLOB_BYTES * 3) / 4).toString('base64')));
}

/** File i lies in directory i mod 5. */
function directoryOf(files: readonly PackObject[], directory: number): PackObject {
  const entries = files.flatMap((file, i) => (
    i % DIRECTORIES === directory ? [treeEntry('100644', `file-${String(i).padStart(2, '0')}`, file.oid)] : []));
  return object('tree', Buffer.concat(entries));
}

function rootOf(files: readonly PackObject[]): PackObject {
  const entries = Array.from({ length: DIRECTORIES }, (_, i) => (
    treeEntry('40000', `directory-${i}`, directoryOf(files, i).oid)));
  return object('tree', Buffer.concat(entries));
}

function commitOf(tree: Buffer, parent: Buffer | undefined, message: string, step: number): PackObject {
  const who = `Bench <bench@example.org> ${FIRST_SECOND + step} +0000`;
  const lines = [
    `tree ${tree.toString('hex')}`,
    ...(parent === undefined ? [] : [`parent ${parent.toString('hex')}`]),
    `author ${who}`, `committer ${who}`, '', message, '',
  ];
  return object('commit', Buffer.from(lines.join('\n')));
}

function object(type: ObjectType, content: Buffer): PackObject {
  return { type, content, oid: oidOf(type, content) };
}
