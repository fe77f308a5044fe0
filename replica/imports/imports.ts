import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ImportHeader, ImportProgress, ImportRequest } from '@trivet/proto/messages.ts';
import { startGit } from '../git/process.ts';
import { RoundProgress } from '../repair/progress.ts';
import { createBareRepository } from '../serve/repository-config.ts';
import { fetchAll } from './fetch.ts';
import { allowedSource, type SourceRules } from './source.ts';

export interface ImportOptions extends SourceRules {
  maxBytes: number;
  /** For everything, the delivery of the pack included. */
  maxMs: number;
  /** Imports at once; the next is refused. */
  maxImports: number;
  hasRoom: () => boolean;
}

/** What was fetched: all refs, and a pack with all they reach. */
export interface Delivery {
  header: ImportHeader;
  /** Undefined when there is no ref. */
  pack: Readable | undefined;
  /** Whether git has made the pack to its end. Resolves after the stream has ended. */
  packed: Promise<boolean>;
}

/**
 * Imports, each in a directory of its own that lasts as long as the request for it: whoever asked and went away, or died,
 * has everything stopped and removed. What a killed process left is removed at the next start.
 */
export class Imports {
  readonly #root: string;
  readonly #options: ImportOptions;
  readonly #running = new Map<string, { progress: RoundProgress; stop: AbortController; over: Promise<unknown> }>();

  /** @param root of this class alone */
  constructor(root: string, options: ImportOptions) {
    this.#root = root;
    this.#options = options;
  }

  /** Removes what an earlier process left. Before the first import. */
  async removeLeftovers(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }

  /**
   * Fetches a source and hands it over; everything is gone when `deliver` is over, however it ends.
   * @throws TrivetError too_busy, import_refused, import_failed, disk_failure; the signal's reason; what `deliver` throws
   */
  async run(id: string, request: ImportRequest, caller: AbortSignal, deliver: (delivery: Delivery) => Promise<void>): Promise<void> {
    const { maxImports, maxMs } = this.#options;
    if (this.#running.has(id) || this.#running.size >= maxImports) throw new TrivetError('too_busy', { imports: this.#running.size });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const running = { progress: new RoundProgress(id), stop: new AbortController(), over };
    this.#running.set(id, running);
    const timer = setTimeout(() => running.stop.abort(new TrivetError('import_failed', { problem: 'it took longer than TRIVET_IMPORT_MS', limit: maxMs })), maxMs);
    try {
      await this.#run(id, request, running.progress, AbortSignal.any([caller, running.stop.signal]), deliver);
    } finally {
      clearTimeout(timer);
      this.#running.delete(id);
      end();
    }
  }

  /** How far an import is; undefined when it doesn't run. */
  progressOf(id: string): ImportProgress | undefined {
    const now = this.#running.get(id)?.progress.now;
    return now && { objects: now.objects, totalObjects: now.totalObjects, bytes: now.bytes };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ stop, over }) => {
      stop.abort(new TrivetError('shutting_down'));
      return over;
    }));
  }

  async #run(id: string, request: ImportRequest, progress: RoundProgress, signal: AbortSignal, deliver: (delivery: Delivery) => Promise<void>): Promise<void> {
    const source = await allowedSource(request.source, this.#options);
    signal.throwIfAborted();
    const gitDir = join(this.#root, `${id}.git`);
    try {
      await mkdir(this.#root, { recursive: true });
      await createBareRepository(gitDir, request.objectFormat, 'refs/heads/main');
      const { head, refs } = await fetchAll({ gitDir, source, maxBytes: this.#options.maxBytes, hasRoom: this.#options.hasRoom, progress, signal }, request.objectFormat);
      const header: ImportHeader = { head: head ?? null, refs, objects: progress.objects, bytes: progress.bytes };
      if (refs.length === 0) await deliver({ header, pack: undefined, packed: Promise.resolve(true) });
      else await this.#deliverPack(gitDir, header, signal, deliver);
    } finally {
      await rm(gitDir, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  async #deliverPack(gitDir: string, header: ImportHeader, signal: AbortSignal, deliver: (delivery: Delivery) => Promise<void>): Promise<void> {
    const git = startGit(['-c', 'pack.threads=1', '-c', 'core.bigFileThreshold=16m', 'pack-objects', '--revs', '--stdout', '--delta-base-offset', '-q'], { gitDir, signal, priority: 'low' });
    try {
      git.child.stdin.end(header.refs.map(([, oid]) => `${oid}\n`).join(''));
      await deliver({ header, pack: git.child.stdout, packed: git.done.then(({ code }) => code === 0) });
    } finally {
      git.kill();
      await git.done;
    }
  }
}
