import { TrivetError } from '@trivet/proto/errors.ts';
import { isOid, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { ContentsTooLargeError } from './contents-too-large.ts';
import { ObjectStore } from './object-store.ts';
import { startGit, type GitProcess } from './process.ts';
import { RecentContents } from './recent-contents.ts';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

export interface ObjectInfo {
  type: ObjectType;
  /** Bytes of the object's content. */
  size: number;
}

export interface ObjectContents {
  type: ObjectType;
  body: Buffer;
}

/** What one call of `contents` takes into memory unless it is told otherwise. */
const MAX_CONTENTS_BYTES = 16 * 1024 * 1024;

const MIB = 1024 * 1024;

/**
 * Answers questions about one repository's objects from one long-lived `git cat-file --batch-command --buffer`.
 *
 * States: *stopped* (no process, nothing pending; the next question starts one), *running* (a process; `#pending`
 * holds the unanswered questions in the order in which they were written). `close`, `idleMs` without a question and
 * the death of the process lead from running to stopped; questions caught in that are asked once more. `shutDown`
 * ends it for ever.
 *
 * git looks at the disk again for every id it does not find, so an object moved in a moment ago is seen.
 */
export class ObjectReader {
  readonly gitDir: string;
  readonly #objectFormat: ObjectFormat;
  readonly #idleMs: number | undefined;
  #process: GitProcess | undefined;
  #pending: Question[] = [];
  #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  /** Bytes that must have arrived before it is worth looking again. */
  #wantedBytes = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #stopped: Promise<unknown> = Promise.resolve();
  #shutDown = false;

  /** @param idleMs ends the process after this long without a question; undefined keeps it until `close` */
  constructor(gitDir: string, objectFormat: ObjectFormat, idleMs?: number) {
    this.gitDir = gitDir;
    this.#objectFormat = objectFormat;
    this.#idleMs = idleMs;
  }

  /** Type and size of each object, in the order asked; undefined for one that isn't there. Throws `git_failed`. */
  async info(oids: readonly Oid[]): Promise<(ObjectInfo | undefined)[]> {
    const answers = await this.#ask('info', oids);
    return answers.map((answer) => answer && { type: answer.type, size: answer.size });
  }

  /**
   * Type and content of each object, in the order asked; undefined for one that isn't there. For objects that are
   * known to be small. Throws ContentsTooLargeError when all together have more than `maxBytes`, and `git_failed`.
   */
  async contents(oids: readonly Oid[], maxBytes = MAX_CONTENTS_BYTES): Promise<(ObjectContents | undefined)[]> {
    const answers = await this.#ask('contents', oids, maxBytes);
    return answers.map((answer) => answer && { type: answer.type, body: answer.body ?? Buffer.alloc(0) });
  }

  /** Whether a question waits for its answer. */
  get busy(): boolean {
    return this.#pending.length > 0;
  }

  /** Ends the process, if there is one. The next question starts another, and so does one that waits right now. */
  close(): void {
    this.#process?.kill();
    this.#stop();
  }

  /** Ends the process for good: waiting and later questions are rejected with `shutting_down`. */
  async shutDown(): Promise<void> {
    this.#shutDown = true;
    this.close();
    await this.#stopped;
  }

  async #ask(verb: Verb, oids: readonly Oid[], maxBytes = 0): Promise<(Answer | undefined)[]> {
    if (oids.length === 0) return [];
    for (const oid of oids) {
      // An id becomes part of a command line of cat-file: nothing but an id may pass.
      if (!isOid(oid, this.#objectFormat)) throw new RangeError(`not an object id: ${JSON.stringify(oid)}`);
    }
    return new Promise((resolve, reject) => {
      this.#write({ verb, oids, answers: [], maxBytes, leftBytes: maxBytes, retried: false, resolve, reject });
    });
  }

  #write(question: Question): void {
    if (this.#shutDown) {
      question.reject(new TrivetError('shutting_down'));
      return;
    }
    this.#pending.push(question);
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    const { child } = this.#process ??= this.#start();
    child.stdin.write(question.oids.map((oid) => `${question.verb} ${oid}\n`).join('') + 'flush\n');
  }

  #start(): GitProcess {
    // A client may push refs/replace/…: what is asked here is what an object is, not what someone wants to see instead.
    const env = { GIT_NO_REPLACE_OBJECTS: '1' };
    const git = startGit(['cat-file', '--batch-command', '--buffer'], { gitDir: this.gitDir, env });
    git.child.stdout.on('data', (chunk: Buffer) => {
      if (git === this.#process) this.#receive(chunk);
    });
    const ended = git.done.then(({ code, stderr }) => {
      if (git === this.#process) this.#stop({ code, stderr });
    });
    this.#stopped = Promise.all([this.#stopped, ended]);
    return git;
  }

  /** @param end how the process died; undefined when it was ended here, which is no question's fault */
  #stop(end?: { code: number | null; stderr: string }): void {
    const orphans = this.#pending;
    this.#process = undefined;
    this.#pending = [];
    this.#arrived = [];
    this.#arrivedBytes = this.#wantedBytes = 0;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    for (const question of orphans) {
      const retried = question.retried || end !== undefined;
      if (question.retried && end) question.reject(new TrivetError('git_failed', { args: ['cat-file'], ...end }));
      else this.#write({ ...question, answers: [], leftBytes: question.maxBytes, retried });
    }
  }

  #receive(chunk: Buffer): void {
    this.#arrived.push(chunk);
    this.#arrivedBytes += chunk.length;
    if (this.#arrivedBytes < this.#wantedBytes) return;
    const bytes = this.#arrived.length === 1 ? chunk : Buffer.concat(this.#arrived);
    const rest = bytes.subarray(this.#parse(bytes));
    this.#arrived = rest.length > 0 ? [rest] : [];
    this.#arrivedBytes = rest.length;
    if (this.#pending.length === 0 && this.#idleMs !== undefined) {
      this.#idleTimer = setTimeout(() => this.close(), this.#idleMs).unref();
    }
  }

  /** Takes whole answers off the front of `bytes` and returns how many bytes they were. */
  #parse(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      this.#wantedBytes = 0;
      const lineStart = at;
      const lineEnd = bytes.indexOf(0x0a, lineStart);
      if (lineEnd === -1) return lineStart;
      const question = this.#pending[0];
      const header = parseHeader(bytes.toString('latin1', lineStart, lineEnd));
      const oid = question?.oids[question.answers.length];
      if (question === undefined || header === undefined || header.oid !== oid) {
        // Out of step: no later answer could be trusted either.
        this.#process?.kill();
        this.#stop({ code: null, stderr: 'unexpected output' });
        return bytes.length;
      }
      at = lineEnd + 1;
      let answer: Answer | undefined = header.info;
      if (question.verb === 'contents' && answer !== undefined) {
        if (answer.size > question.leftBytes) {
          // A new process costs less than reading on through what might be gigabytes.
          this.#pending.shift();
          question.reject(new ContentsTooLargeError(question.maxBytes));
          this.close();
          return bytes.length;
        }
        if (bytes.length < at + answer.size + 1) {
          this.#wantedBytes = at + answer.size + 1 - lineStart;
          return lineStart;
        }
        answer = { ...answer, body: Buffer.from(bytes.subarray(at, at + answer.size)) };
        question.leftBytes -= answer.size;
        at += answer.size + 1;
      }
      question.answers.push(answer);
      if (question.answers.length === question.oids.length) {
        this.#pending.shift();
        question.resolve(question.answers);
      }
    }
  }
}

export interface ObjectReaderLimits {
  /**
   * Readers that are kept; the least recently used one that waits for nothing goes first. While all of them are busy
   * there may be more: never more than requests in flight.
   */
  maxProcesses: number;
  idleMs: number;
  /** For what is known of which objects are in which store: some 12 bytes for each object. */
  maxStoreBytes?: number;
  /** For the contents of objects that were pushed last. */
  maxContentsBytes?: number;
}

/** One ObjectReader and one ObjectStore for each repository in use, bounded in number and in memory. */
export class ObjectReaders {
  readonly #limits: Required<ObjectReaderLimits>;
  /** By git directory, least recently used first. */
  readonly #readers = new Map<string, ObjectReader>();
  /** The same, for longer: it is dropped when its replica leaves memory. */
  readonly #stores = new Map<string, CountedStore>();
  #storeBytes = 0;
  readonly #contents: RecentContents;

  constructor(limits: ObjectReaderLimits) {
    this.#limits = { maxStoreBytes: 64 * MIB, maxContentsBytes: 32 * MIB, ...limits };
    this.#contents = new RecentContents(this.#limits.maxContentsBytes);
  }

  get(gitDir: string, objectFormat: ObjectFormat): ObjectReader {
    const reader = this.#readers.get(gitDir) ?? new ObjectReader(gitDir, objectFormat, this.#limits.idleMs);
    this.#readers.delete(gitDir);
    this.#readers.set(gitDir, reader);
    this.#evict();
    return reader;
  }

  /** What is known of a repository's store. For one use: what is kept over a `drop` learns nothing new any more. */
  store(gitDir: string, objectFormat: ObjectFormat): ObjectStore {
    const counted = this.#stores.get(gitDir) ?? { bytes: 0, store: new ObjectStore(
      gitDir, objectFormat, this.#limits.maxStoreBytes / 2, this.#contents, () => this.get(gitDir, objectFormat),
    ) };
    this.#stores.delete(gitDir);
    this.#stores.set(gitDir, counted);
    this.#count(counted);
    for (const other of this.#stores.values()) {
      if (this.#storeBytes <= this.#limits.maxStoreBytes || other === counted) break;
      other.store.unload();
      this.#count(other);
    }
    return counted.store;
  }

  /** For when something else than a migration has added objects: what is known to be missing is looked for again. */
  refresh(gitDir: string): void {
    this.#stores.get(gitDir)?.store.presence.refresh();
  }

  /**
   * Maintenance has put other packs in the place of some, objects and all. The process lets go of the old ones, so that
   * their room on the disk comes free.
   * @param gone file names of the indexes that may go now; `come`: of those that have come
   */
  replaced(gitDir: string, gone: readonly string[], come: readonly string[]): void {
    this.#stores.get(gitDir)?.store.presence.replaced(gone, come);
    this.#readers.get(gitDir)?.close();
  }

  /** The indexes that this process has seen in a repository's store, by file name; none when it has seen none yet. */
  seenIndexes(gitDir: string): ReadonlySet<string> {
    return new Set(this.#stores.get(gitDir)?.store.presence.indexes);
  }

  /** Ends a repository's process and forgets what was known of its store: for when it is removed, swapped or pruned. */
  drop(gitDir: string): void {
    const reader = this.#readers.get(gitDir);
    this.#readers.delete(gitDir);
    reader?.close();
    const counted = this.#stores.get(gitDir);
    if (counted === undefined) return;
    this.#stores.delete(gitDir);
    counted.store.forget();
    this.#count(counted);
  }

  /** Ends every process; resolves when they are gone. */
  async closeAll(): Promise<void> {
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const gitDir of [...this.#stores.keys()]) this.drop(gitDir);
    await Promise.all(readers.map((reader) => reader.shutDown()));
  }

  #count(counted: CountedStore): void {
    const { bytes } = counted.store;
    this.#storeBytes += bytes - counted.bytes;
    counted.bytes = bytes;
  }

  #evict(): void {
    let excess = this.#readers.size - this.#limits.maxProcesses;
    if (excess <= 0) return;
    // The newest is the one that is asked for right now.
    const candidates = [...this.#readers.entries()].slice(0, -1);
    for (const [gitDir, reader] of candidates) {
      if (excess <= 0) return;
      if (reader.busy) continue;
      this.#readers.delete(gitDir);
      reader.close();
      excess -= 1;
    }
  }
}

/** What of a store's memory is in the sum over all of them. */
interface CountedStore {
  store: ObjectStore;
  bytes: number;
}

type Verb = 'info' | 'contents';

/** `body` is missing in an answer to `info`. */
interface Answer extends ObjectInfo {
  body?: Buffer;
}

interface Question {
  verb: Verb;
  oids: readonly Oid[];
  answers: (Answer | undefined)[];
  /** Of contents: what is taken into memory at the most, and what is left of that. */
  maxBytes: number;
  leftBytes: number;
  /** Whether a process died over it before. */
  retried: boolean;
  resolve: (answers: (Answer | undefined)[]) => void;
  reject: (error: Error) => void;
}

/** git-cat-file(1), BATCH OUTPUT. */
function parseHeader(line: string): { oid: Oid; info: ObjectInfo | undefined } | undefined {
  const [oid, type, size, more] = line.split(' ');
  if (oid === undefined || more !== undefined) return undefined;
  if (type === 'missing' && size === undefined) return { oid, info: undefined };
  if (type !== 'commit' && type !== 'tree' && type !== 'blob' && type !== 'tag') return undefined;
  if (size === undefined || !/^[0-9]+$/.test(size)) return undefined;
  return { oid, info: { type, size: Number(size) } };
}
