import { TrivetError } from '@trivet/proto/errors.ts';
import { isOid, isZeroOid, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { isRefName } from '@trivet/proto/ref-name.ts';
import { asDiskFailure } from './disk-failure.ts';
import { packedRefsText } from './packed-refs.ts';
import { StagedRefs, type PreparedRefs } from './prepared-refs.ts';
import type { RefChange, RefUpdate } from './ref-change.ts';
import { RefFiles, type BeforeStep } from './ref-files.ts';
import { directoriesAbove } from './ref-order.ts';
import { RefOverlay } from './ref-overlay.ts';
import { RefTable } from './ref-table.ts';
import type { Refs } from './refs.ts';
import { filesBelow, scanRefs, type ScannedRefs } from './scan.ts';
import { stageLoose, stagePacked, type Staged } from './stage.ts';

export type { RefChange, RefUpdate } from './ref-change.ts';
export type { PreparedRefs } from './prepared-refs.ts';
export { removeOrphanLocks, removeTornRefs } from './recovery.ts';

/**
 * More updates than this rewrite packed-refs: a lock, a rename and a file for each ref would take longer, at about
 * 100 µs each. Rewriting takes about 1 µs for each ref of the repository, so where there are many, more stay loose.
 */
export const MAX_LOOSE_UPDATES = 32;
const REFS_PER_LOOSE_UPDATE = 256;

/** Linux refuses longer paths, and git could not even ask whether such a ref has a file. */
const MAX_PATH_BYTES = 4095;

/** A scan that a commit overtook is repeated; past this many times, verification may as well come back later. */
const MAX_SCANS = 5;

/**
 * The refs of one bare repository: in memory for reading, on disk in git's files format.
 *
 * - **settled**: memory and disk say the same.
 * - **pending**: one change is being prepared, is prepared, or failed half-way through its commit. Reads see the state
 *   before it. Left by its commit or abort; any other change is refused with `replica_busy`.
 * - **abandoned**: the disk failed while a change was undone, or while one was carried out that nobody holds. Reads see the
 *   state before it. The next change ends it first, going on where it failed; until the disk works again that fails, too.
 *
 * Nothing is made durable except files that hold more than the change itself (packed-refs, HEAD): the caller has the
 * change in a journal and replays it with `apply`. Refs moved by others are not noticed here; `digestFromDisk` is for
 * that, and `replaceAll` mends it.
 */
export class RefStore implements Refs {
  readonly #files: RefFiles;
  readonly #format: ObjectFormat;
  readonly #peeled: Map<Oid, Oid>;
  #table: RefTable;
  /** Refs that have a file of their own, and perhaps some whose file git has packed away since. */
  #loose: Set<string>;
  #pending: StagedRefs | undefined;
  #commits = 0;

  private constructor(files: RefFiles, format: ObjectFormat, scanned: ScannedRefs) {
    this.#files = files;
    this.#format = format;
    this.#table = new RefTable(scanned.head, scanned.refs);
    this.#loose = scanned.loose;
    this.#peeled = scanned.peeled;
  }

  /**
   * Reads HEAD, packed-refs and every loose ref. Leftover locks are ignored.
   * @param before for tests, called before each change to the disk
   * @throws TrivetError `internal` naming the file when anything is malformed, or a ref other than HEAD is symbolic
   */
  static async open(gitDir: string, objectFormat: ObjectFormat, before?: BeforeStep): Promise<RefStore> {
    return new RefStore(new RefFiles(gitDir, before), objectFormat, await scanRefs(gitDir, objectFormat));
  }

  get head(): string {
    return this.#table.head;
  }

  get digest(): string {
    return this.#table.digest;
  }

  get size(): number {
    return this.#table.size;
  }

  /** Whether nothing is pending and nothing was left behind, so that this object may be forgotten. */
  get settled(): boolean {
    return this.#pending === undefined && !this.#files.holdsAny;
  }

  get(name: string): Oid | undefined {
    return this.#table.get(name);
  }

  hasBelow(name: string): boolean {
    return this.#table.hasBelow(name);
  }

  /** A snapshot: a later commit doesn't change what was given out. */
  entries(): readonly (readonly [name: string, oid: Oid])[] {
    return this.#table.entries();
  }

  /**
   * Takes the locks and writes the new values beside the old ones; nothing is visible yet.
   * @throws TrivetError `replica_busy` when a lock is held or another change is pending, `disk_failure`, or `internal`
   *   when an old value differs or the change can't be; then nothing is left behind
   */
  async prepare(change: RefChange): Promise<PreparedRefs> {
    await this.#endAbandoned();
    for (const { ref, old } of change.updates) {
      if (this.get(ref) !== old) throw impossible(`${ref} is at ${this.get(ref)}, not at ${old}`);
    }
    if (change.head && change.head.old !== this.head) {
      throw impossible(`HEAD points at ${this.head}, not at ${change.head.old}`);
    }
    const updates = change.updates.filter((update) => update.old !== update.new);
    return this.#prepare(change.head ? { updates, head: change.head } : { updates });
  }

  /** Makes these refs so, whatever they were and however often it was done before. Throws as `prepare`. */
  async apply(change: RefChange): Promise<void> {
    await this.#endAbandoned();
    await carryOut(await this.#prepare(change));
  }

  /**
   * Makes the refs exactly these, and HEAD point at `head`. Doesn't ask what is on disk, so that it also mends what
   * can't be read. Throws as `prepare`.
   */
  async replaceAll(head: string, refs: Iterable<readonly [string, Oid]>): Promise<void> {
    const wanted = new Map(refs);
    const table = new RefTable(head, wanted);
    this.#check({ updates: [...wanted].map(([ref, oid]) => ({ ref, old: undefined, new: oid })), head: { old: '', new: head } });
    const crowded = [...wanted.keys()].find((name) => table.hasBelow(name));
    if (crowded !== undefined) throw impossible(`refs below ${crowded}/ keep it from being a ref`);
    // Whatever an abandoned change has left half done, all of it is written anew; only its locks are in the way.
    if (this.#pending?.abandoned) this.#pending = undefined;
    if (this.#pending === undefined) this.#removeOrphans();
    const prepared = await this.#stage(table.digest, async (staged) => {
      const files = [...filesBelow(this.#files.gitDir, 'refs')].map(([path]) => path);
      const loose = files.filter((path) => !path.endsWith('.lock'));
      await stagePacked(this.#files, packedRefsText(table.entries(), this.#peeled), loose, head, staged);
    }, () => {
      this.#table = table;
      this.#loose = new Set();
    });
    await carryOut(prepared);
  }

  /** The refs digest of what the disk holds now, whatever memory says. Throws as `open`. */
  async digestFromDisk(): Promise<string> {
    for (let scans = 0; scans < MAX_SCANS; scans++) {
      const commits = this.#commits;
      const { head, refs } = await scanRefs(this.#files.gitDir, this.#format);
      if (commits === this.#commits) return new RefTable(head, refs).digest;
    }
    throw new TrivetError('replica_busy', { problem: 'the refs moved each time they were read' });
  }

  /** Memory's value decides what is a creation; the disk gets all of it even where memory has it already. */
  #prepare(change: RefChange): Promise<StagedRefs> {
    this.#check(change);
    const overlay = new RefOverlay(this.#table);
    for (const { ref, new: oid } of change.updates) overlay.set(ref, oid);
    for (const { ref, new: oid } of change.updates) {
      const conflict = oid === undefined ? undefined : overlay.conflict(ref);
      if (conflict !== undefined) throw impossible(`${conflict} keeps ${ref} from being a ref`);
    }
    const packs = swapsDirectories(change.updates)
      || change.updates.length > Math.max(MAX_LOOSE_UPDATES, this.size / REFS_PER_LOOSE_UPDATE);
    const digestAfter = this.#table.digestAfter(change);
    return this.#stage(digestAfter, async (staged) => {
      if (!packs) return stageLoose(this.#files, change, staged);
      const text = packedRefsText(this.#table.entriesAfter(change), this.#peeled);
      const loose = change.updates.map(({ ref }) => ref).filter((ref) => this.#loose.has(ref));
      return stagePacked(this.#files, text, loose, change.head?.new, staged);
    }, () => {
      this.#table.install(change, digestAfter);
      for (const update of change.updates) {
        if (packs || update.new === undefined) this.#loose.delete(update.ref);
        else this.#loose.add(update.ref);
      }
    });
  }

  async #stage(
    digestAfter: string, stage: (staged: Staged) => Promise<void>, install: () => void,
  ): Promise<StagedRefs> {
    if (this.#pending !== undefined) throw new TrivetError('replica_busy', { problem: 'another change of these refs is pending' });
    const staged: Staged = { commit: [], undo: [] };
    const prepared = new StagedRefs(digestAfter, staged, (committed) => {
      this.#pending = undefined;
      if (!committed) return;
      this.#commits++;
      install();
    });
    this.#pending = prepared;
    try {
      await stage(staged);
    } catch (error) {
      // If that fails too it is abandoned; what went wrong first is what counts.
      await prepared.abort().catch(() => {});
      throw asDiskFailure(error);
    }
    return prepared;
  }

  /** Ends what failed earlier, so that memory, disk and locks agree before the next change. Throws `disk_failure`. */
  async #endAbandoned(): Promise<void> {
    if (this.#pending?.abandoned) {
      // Before the directories that were made for them.
      if (this.#pending.undone) this.#removeOrphans();
      await this.#pending.end();
    }
    if (this.#pending === undefined) this.#removeOrphans();
  }

  /** While nothing is to be committed, a lock of ours is one that could not be removed when it should have been. */
  #removeOrphans(): void {
    try {
      this.#files.removeHeld();
    } catch (error) {
      throw asDiskFailure(error);
    }
  }

  #check({ updates, head }: RefChange): void {
    const seen = new Set<string>();
    for (const { ref, new: oid } of updates) {
      // Half a surrogate pair has no bytes of its own: on disk the ref would get another name.
      if (!isRefName(ref) || !ref.isWellFormed()) throw impossible(`"${ref}" is no ref name`);
      if (Buffer.byteLength(`${this.#files.gitDir}/${ref}.lock`) > MAX_PATH_BYTES) throw impossible(`${ref} is too long`);
      if (oid !== undefined && (!isOid(oid, this.#format) || isZeroOid(oid))) throw impossible(`"${oid}" is no object id`);
      if (seen.has(ref)) throw impossible(`${ref} is named twice`);
      seen.add(ref);
    }
    if (head && !isRefName(head.new)) throw impossible(`"${head.new}" is no ref name`);
  }
}

/** Nobody but the store holds this change: should the disk fail, the store goes on with it. */
async function carryOut(prepared: StagedRefs): Promise<void> {
  try {
    await prepared.commit();
  } catch (error) {
    prepared.abandon();
    throw error;
  }
}

/** Whether a ref takes a name that is free only once another is deleted: a lock file could not be put there before. */
function swapsDirectories(updates: readonly RefUpdate[]): boolean {
  const deleted = updates.filter((update) => update.new === undefined).map(({ ref }) => ref);
  const files = new Set(deleted);
  const directories = new Set(deleted.flatMap(directoriesAbove));
  return updates.some(({ ref, new: oid }) => oid !== undefined
    && (directories.has(ref) || directoriesAbove(ref).some((directory) => files.has(directory))));
}

function impossible(problem: string): TrivetError {
  return new TrivetError('internal', { problem });
}
