import { closeSync, openSync, writeSync } from 'node:fs';

/** A commit id, or null where the ref isn't there. */
export type Value = string | null;

/** What became of an operation. `unknown`: it may have happened, or happen yet. */
export type Outcome = 'ok' | 'rejected' | 'unknown';

/** One ref of a push. `old` is what the client named on the wire; every `new` that isn't null is pushed once only. */
export interface Update { ref: string; old: Value; new: Value; outcome: Outcome; reason?: string }

interface Timed {
  /** Milliseconds on one monotonic clock, since the run began. */
  begin: number;
  end: number;
}

export interface PushRecord extends Timed {
  type: 'push';
  client: string;
  repository: string;
  controller: string;
  atomic: boolean;
  force: boolean;
  updates: Update[];
  /** What git said, when it did not succeed. */
  text?: string;
}

export interface ReadRecord extends Timed {
  type: 'read';
  how: 'ls-remote' | 'fetch' | 'clone' | 'final' | 'replica';
  client: string;
  repository: string;
  /** The controller, or of a `replica` read the node. */
  controller: string;
  ok: boolean;
  /** All refs there are; empty when it failed. */
  refs: Record<string, string>;
  text?: string;
}

export interface FaultRecord extends Timed {
  type: 'fault';
  id: number;
  kind: string;
  what: string;
  /** The ids of the repositories whose replicas it damaged. */
  replicas?: string[];
}

/** Anything else worth a line in a story. */
export interface NoteRecord extends Timed { type: 'note'; text: string }

export type HistoryRecord = PushRecord | ReadRecord | FaultRecord | NoteRecord;

/** What happened in a run, in memory and, line by line as it happens, in a file of JSON lines. */
export class History {
  readonly records: HistoryRecord[] = [];
  readonly path: string;
  readonly #file: number;
  readonly #startedAt = performance.now();

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, 'a');
  }

  /** Milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#startedAt;
  }

  add(record: HistoryRecord): void {
    this.records.push(record);
    writeSync(this.#file, `${JSON.stringify(record)}\n`);
  }

  note(text: string): void {
    const now = this.now();
    this.add({ type: 'note', begin: now, end: now, text });
  }

  close(): void {
    closeSync(this.#file);
  }

  get pushes(): PushRecord[] {
    return this.records.filter((record) => record.type === 'push');
  }

  get reads(): ReadRecord[] {
    return this.records.filter((record) => record.type === 'read');
  }

  get faults(): FaultRecord[] {
    return this.records.filter((record) => record.type === 'fault');
  }
}
