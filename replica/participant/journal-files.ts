import { mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncPath } from '../repository/layout.ts';

/** The disk under the journal, as far as the journal uses it. Names of files are the journal's own. */
export interface JournalDisk {
  /** The names of all files that are there. */
  list(): Promise<string[]>;
  read(name: string): Promise<string>;
  /** Makes a file. When this resolves, its name is on the disk for good. */
  create(name: string): Promise<JournalFile>;
  /** Removes a file; until the file system is flushed, a crash may bring it back. */
  remove(name: string): Promise<void>;
}

/** An open file of the journal. */
export interface JournalFile {
  append(bytes: Buffer): Promise<void>;
  /** When this resolves, everything appended so far is on the disk for good. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The journal's files in a directory, which is made when it isn't there. */
export function journalFiles(directory: string): JournalDisk {
  return {
    list: async () => {
      await mkdir(directory, { recursive: true });
      return readdir(directory);
    },
    read: (name) => readFile(join(directory, name), 'utf8'),
    create: async (name) => {
      const file = await open(join(directory, name), 'ax', 0o600);
      await syncPath(directory);
      return {
        append: (bytes) => file.appendFile(bytes),
        sync: () => file.datasync(),
        close: () => file.close(),
      };
    },
    remove: (name) => unlink(join(directory, name)),
  };
}
