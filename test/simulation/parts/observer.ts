import type { JournalRecord } from '../../../replica/participant/journal.ts';
import type { PushDone, ReadDone } from '../history.ts';

/** What the parts of a run tell whoever watches it. All of it is optional knowledge: nothing a part does depends on it. */
export interface Observer {
  /** A node's journal was given a record. */
  recorded(node: string, record: JournalRecord): void;
  /** A replica in memory moved from one position to another, or was opened at one (`from` undefined). */
  moved(node: string, repository: string, from: number | undefined, to: { generation: number; digest: string }, how: string): void;
  pushed(push: PushDone): void;
  read(read: ReadDone): void;
  /** Something that can't be, such as an assertion that failed. */
  impossible(where: string, problem: string): void;
}
