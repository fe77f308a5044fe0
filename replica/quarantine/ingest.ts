import { createHash } from 'node:crypto';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import { ContentsTooLargeError } from '../git/contents-too-large.ts';
import type { ObjectReaders, ObjectType } from '../git/object-reader.ts';
import type { ObjectStore } from '../git/object-store.ts';
import { DiskQuarantine, type Quarantine } from './disk-quarantine.ts';
import { indexPack, isConnected, typesWithQuarantine } from './index-pack.ts';
import { collectLinks, verifyLinks } from './links.ts';
import { InflateBudget, parsePack } from './pack-parser.ts';
import { PackSource } from './pack-source.ts';
import { writePack } from './pack-writer.ts';
import { createQuarantine, DirectoryFiles, FlatFiles, removeQuarantine } from './quarantine-files.ts';
import { resolveObjects, type FetchBases } from './resolve.ts';
import { Unclear, type NamedBlob } from './unclear.ts';

export type { Quarantine } from './disk-quarantine.ts';

export interface IngestLimits {
  /** A pack of no more bytes than this is taken apart in process. */
  smallPackBytes: number;
  maxPackBytes: number;
  /** `git` lets git take in every pack and walk from the new tips as plain receive-pack does. */
  mode: 'fast' | 'git';
}

export interface IngestRequest {
  gitDir: string;
  objectFormat: ObjectFormat;
  /**
   * On the file system of `gitDir`, and nothing of this name is there yet: a directory for what git takes in, the
   * beginning of two files' names for what is taken apart in process.
   */
  quarantineDir: string;
  /** Undefined when the push brings none. */
  pack: AsyncIterable<Buffer> | undefined;
  /** The new values that must exist after this push, none of them zero. */
  tips: readonly Oid[];
  signal: AbortSignal;
}

/** `reason` is one short line, safe to show, and the same on every node for the same pack. */
export type IngestResult = { ok: true; quarantine: Quarantine } | { ok: false; reason: string };

/** What a test replaces to prove that it would notice. */
export interface IngestGuards {
  verifyLinks: typeof verifyLinks;
}

const MISSING_TIPS: IngestResult = { ok: false, reason: 'missing necessary objects' };

/**
 * Takes a pushed pack into a quarantine, where it is complete, checked and on disk, but not in the store.
 *
 * Small packs are taken apart in this process, which accepts only what is clearly sound; everything else, and every
 * pack that is not small, is for git to judge (docs/decisions/002). Any number of pushes may be taken in at once.
 */
export class Ingest {
  readonly #readers: ObjectReaders;
  readonly #limits: IngestLimits;
  readonly #guards: IngestGuards;

  constructor(readers: ObjectReaders, limits: IngestLimits, guards: IngestGuards = { verifyLinks }) {
    this.#readers = readers;
    this.#limits = limits;
    this.#guards = guards;
  }

  /**
   * Reads the pack to its end. A pack that is not acceptable is a result, not an exception.
   * @throws what the stream throws, the signal's reason, `disk_failure` and `git_failed`. No directory and no process
   *   is left then, nor after `ok: false`.
   */
  async ingest(request: IngestRequest): Promise<IngestResult> {
    request.signal.throwIfAborted();
    if (request.pack === undefined) return this.#withoutPack(request, 0);
    const source = new PackSource(request.pack, request.signal);
    try {
      return await this.#ingestFrom(source, request);
    } finally {
      source.close();
    }
  }

  async #ingestFrom(source: PackSource, request: IngestRequest): Promise<IngestResult> {
    const prefix = await readPrefix(source, this.#limits.smallPackBytes);
    if (source.bytes > this.#limits.maxPackBytes) return { ok: false, reason: 'pack exceeds maximum allowed size' };
    let unjudged: readonly NamedBlob[] = [];
    if (source.ended) {
      const pack = prefix.length === 1 ? prefix[0]! : Buffer.concat(prefix);
      if (pack.equals(emptyPack(request.objectFormat))) return this.#withoutPack(request, pack.length);
      if (this.#limits.mode === 'fast') {
        try {
          return await this.#inProcess(pack, request);
        } catch (error) {
          if (error instanceof Unclear) unjudged = error.unjudged;
          else if (!(error instanceof ContentsTooLargeError)) throw error;
        }
      }
    }
    return this.#withGit(prefix, source, request, unjudged);
  }

  /** Only names what is there already, so there is nothing to keep. */
  async #withoutPack(request: IngestRequest, bytes: number): Promise<IngestResult> {
    const tips = await typesOf(request.tips, this.#store(request));
    request.signal.throwIfAborted();
    if (tips === undefined) return MISSING_TIPS;
    return { ok: true, quarantine: new DiskQuarantine({
      gitDir: request.gitDir, files: undefined, tips, objects: 0, bytes, onMoved: () => {}, onMigrated: () => {},
    }) };
  }

  /**
   * Two round trips to the long-lived cat-file at the most, none when the push builds on what was pushed lately, and no
   * process started. Throws Unclear.
   */
  async #inProcess(pack: Buffer, request: IngestRequest): Promise<IngestResult> {
    const { gitDir, objectFormat, quarantineDir, signal } = request;
    const store = this.#store(request);
    const budget = new InflateBudget();
    const entries = parsePack(pack, objectFormat, budget);
    const fetchBases: FetchBases = (oids, maxBytes) => store.contents(oids, maxBytes);
    const objects = await resolveObjects(entries, objectFormat, budget, fetchBases);
    const { outside, unjudged } = collectLinks(objects, objectFormat, store.known);

    const inPack = new Map(objects.map((object) => [object.oid, object.type]));
    const tipsOutside = request.tips.filter((oid) => !inPack.has(oid));
    const asked = [...new Set([...inPack.keys(), ...outside.keys(), ...tipsOutside])];
    const answers = await store.types(asked);
    signal.throwIfAborted();
    const found = new Map(asked.map((oid, i) => [oid, answers[i]]));
    // Whether it is the same object or a collision, git finds out by comparing the bytes.
    for (const oid of inPack.keys()) {
      if (found.get(oid) !== undefined) throw new Unclear('an object is in the store already');
    }
    this.#guards.verifyLinks(outside, found);
    if (unjudged.length > 0) throw new Unclear('a file that git reads', unjudged);

    const tips = new Map<Oid, ObjectType>();
    for (const oid of request.tips) {
      const type = inPack.get(oid) ?? found.get(oid);
      if (type === undefined) return MISSING_TIPS;
      tips.set(oid, type);
    }
    for (const { oid, type, body } of objects) if (mayBecomeBase(type)) store.keepContents(oid, type, body);
    const files = await FlatFiles.write(quarantineDir, writePack(pack, objects, objectFormat));
    if (signal.aborted) await files.remove();
    signal.throwIfAborted();
    return { ok: true, quarantine: new DiskQuarantine({
      gitDir, files, tips, objects: objects.length, bytes: pack.length,
      // By name: since the vote the store may have been dropped, and another may be in its place.
      onMoved: ([index]) => this.#store(request).presence.add(index!, inPack.keys()),
      onMigrated: () => {
        const { known } = this.#store(request);
        for (const [oid, type] of inPack) known.add(oid, type);
      },
    }) };
  }

  async #withGit(
    prefix: readonly Buffer[], source: PackSource, request: IngestRequest, unjudged: readonly NamedBlob[],
  ): Promise<IngestResult> {
    const directory = request.quarantineDir;
    try {
      await createQuarantine(directory);
      const result = await this.#intoDirectory(directory, prefix, source, request, unjudged);
      if (!result.ok) await removeQuarantine(directory);
      return result;
    } catch (error) {
      await removeQuarantine(directory);
      throw error;
    }
  }

  async #intoDirectory(
    directory: string, prefix: readonly Buffer[], source: PackSource, request: IngestRequest,
    unjudged: readonly NamedBlob[],
  ): Promise<IngestResult> {
    const { gitDir, objectFormat, signal, tips } = request;
    const { maxPackBytes, mode } = this.#limits;
    const result = await indexPack({ gitDir, objectFormat, directory, prefix, source, maxPackBytes, signal });
    if (!result.ok) return result;
    const types = await typesWithQuarantine(gitDir, directory, tips, signal);
    if (types.includes(undefined)) return MISSING_TIPS;
    if (mode === 'git' && !await isConnected(gitDir, directory, tips, signal)) return MISSING_TIPS;
    signal.throwIfAborted();
    const { known } = this.#store(request);
    for (const { name, oid } of unjudged) known.judge(name, oid);
    return { ok: true, quarantine: new DiskQuarantine({
      gitDir, files: new DirectoryFiles(directory), tips: new Map(tips.map((oid, i) => [oid, types[i]!])),
      objects: result.objects, bytes: source.bytes, onMigrated: () => {},
      onMoved: (indexes) => {
        const { presence } = this.#store(request);
        for (const index of indexes) presence.add(index);
      },
    }) };
  }

  #store({ gitDir, objectFormat }: IngestRequest): ObjectStore {
    return this.#readers.store(gitDir, objectFormat);
  }
}

/** git makes thin packs with deltas against trees and blobs only. */
function mayBecomeBase(type: ObjectType): boolean {
  return type === 'tree' || type === 'blob';
}

/** The stream's chunks until it ends or has given more than `bytes`. */
async function readPrefix(source: PackSource, bytes: number): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  while (source.bytes <= bytes) {
    const chunk = await source.next();
    if (chunk === undefined) break;
    chunks.push(chunk);
  }
  return chunks;
}

/** What a client sends that has nothing to send. */
function emptyPack(format: ObjectFormat): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  return Buffer.concat([header, createHash(format).update(header).digest()]);
}

/** The type of each tip; undefined when one is missing. */
async function typesOf(oids: readonly Oid[], store: ObjectStore): Promise<Map<Oid, ObjectType> | undefined> {
  const types = await store.types(oids);
  if (types.includes(undefined)) return undefined;
  return new Map(oids.map((oid, i) => [oid, types[i]!]));
}
