import {
  closeSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isFileError, malformedRefs } from './malformed-refs.ts';
import { directoriesAbove } from './ref-order.ts';

/** Called before each change to the disk with what is about to happen; a test throws here to be a killed process. */
export type BeforeStep = (operation: string, path: string) => void;

/**
 * The few things the ref store does to a repository's files; paths are relative to the repository.
 *
 * Nearly all are synchronous. They touch the page cache only and take 10 to 20 µs each, where a turn through the
 * thread pool costs ten times that and waits behind other repositories' fsyncs; and what happens between two turns of
 * the event loop is atomic to everyone else in this process.
 */
export class RefFiles {
  readonly gitDir: string;
  readonly #before: BeforeStep;
  /** Files that were created here and neither removed nor put in another's place yet. */
  readonly #held = new Set<string>();

  constructor(gitDir: string, before: BeforeStep = () => {}) {
    this.gitDir = gitDir;
    this.#before = before;
  }

  /** Whether there are files of ours: locks, and new content that waits beside the old. */
  get holdsAny(): boolean {
    return this.#held.size > 0;
  }

  /** Removes all of those. */
  removeHeld(): void {
    for (const path of this.#held) this.remove(path);
  }

  /** Creates a file. Throws TrivetError `replica_busy` when there is one: someone holds that lock. */
  create(path: string, content: string): void {
    this.#before('create', path);
    const file = this.#exclusively(path, () => openSync(this.#at(path), 'wx', 0o644));
    this.#held.add(path);
    try {
      this.#before('write', path);
      writeFileSync(file, content);
    } catch (error) {
      this.remove(path);
      throw error;
    } finally {
      closeSync(file);
    }
  }

  /** The same, and brings the content to the disk before it takes another file's place. */
  async createDurable(path: string, content: string | Uint8Array): Promise<void> {
    this.create(path, '');
    try {
      this.#before('write', path);
      const file = await open(this.#at(path), 'r+');
      try {
        await file.writeFile(content);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      this.remove(path);
      throw error;
    }
  }

  /** Puts the file `by` in the place of `path`: readers see the one or the other, never a part. */
  replace(path: string, by: string): void {
    this.#before('rename', by);
    renameSync(this.#at(by), this.#at(path));
    this.#held.delete(by);
  }

  /** Removes a file. None there is as good. */
  remove(path: string): void {
    this.#before('unlink', path);
    try {
      unlinkSync(this.#at(path));
    } catch (error) {
      if (!isFileError(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
    this.#held.delete(path);
  }

  /** Makes the directories above a file. Returns those that were missing, outermost first. */
  makeDirectoriesAbove(path: string): string[] {
    const above = directoriesAbove(path);
    this.#before('mkdir', path);
    const first = mkdirSync(this.#at(above.at(-1)!), { recursive: true });
    return first === undefined ? [] : above.filter((directory) => this.#at(directory).length >= first.length);
  }

  /** Removes a directory when it is there and empty. */
  removeIfEmpty(directory: string): void {
    this.#before('rmdir', directory);
    try {
      rmdirSync(this.#at(directory));
    } catch (error) {
      if (!isFileError(error, 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST')) throw error;
    }
  }

  /** Removes the directories that are empty now that these refs have no file; `refs/heads` and its like stay. */
  removeEmptyDirectoriesAbove(refs: Iterable<string>): void {
    const directories = new Set([...refs].flatMap((ref) => directoriesAbove(ref).slice(2)));
    for (const directory of [...directories].sort((a, b) => b.length - a.length)) this.removeIfEmpty(directory);
  }

  /** Empty directories, left by deletions and killed processes, don't keep a ref from having their name. */
  clearWay(ref: string): void {
    const entry = lstatSync(this.#at(ref), { throwIfNoEntry: false });
    if (entry === undefined || !entry.isDirectory()) return;
    for (const child of readdirSync(this.#at(ref))) this.clearWay(`${ref}/${child}`);
    this.removeIfEmpty(ref);
    if (lstatSync(this.#at(ref), { throwIfNoEntry: false }) !== undefined) {
      throw malformedRefs(ref, 'a directory with files that are no refs is in the way');
    }
  }

  #exclusively<T>(path: string, create: () => T): T {
    try {
      return create();
    } catch (error) {
      if (isFileError(error, 'EEXIST')) throw new TrivetError('replica_busy', { lock: path }, { cause: error });
      throw error;
    }
  }

  #at(path: string): string {
    return `${this.gitDir}/${path}`;
  }
}
