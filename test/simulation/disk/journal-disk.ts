import type { JournalDisk } from '../../../replica/participant/journal-files.ts';
import { LogFile } from './node-disk.ts';
import type { DiskAccess } from './disk-access.ts';

/** The journal's files on a simulated disk. */
export function journalDisk(access: DiskAccess): JournalDisk {
  const { disk } = access;
  return {
    list: () => access.read(() => [...disk.journal.keys()]),
    read: (name) => access.read(() => disk.journal.get(name)!.text),
    create: async (name) => {
      access.needRoom();
      const file = new LogFile();
      await access.step(`making the journal file ${name}`, () => { disk.journal.set(name, file); });
      return {
        append: async (bytes) => {
          const text = bytes.toString();
          if (disk.full) {
            file.pending.push(text.slice(0, text.length >> 1));
            access.needRoom();
          }
          await access.now('a write to the journal', () => { file.pending.push(text); });
        },
        sync: () => access.step('an fsync of the journal', () => { file.sync(); }),
        close: async () => {},
      };
    },
    remove: (name) => access.step(`removing the journal file ${name}`, () => { disk.removeJournalFile(name); }),
  };
}
