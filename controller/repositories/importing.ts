import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import { newId } from '@trivet/proto/id.ts';
import { parseImportSource } from '@trivet/proto/import-source.ts';
import { zeroOid } from '@trivet/proto/object-format.ts';
import { OK } from '@trivet/proto/vote.ts';
import type { NodeImport } from '../nodes/node-client.ts';
import type { KnownNode, NodeRegistry } from '../nodes/node-registry.ts';
import type { ImportProgress, Imports } from '../store/imports.ts';
import type { Repositories } from '../store/repositories.ts';
import type { Import, Route } from '../store/rows.ts';
import type { Coordinator } from '../transaction/coordinator.ts';
import type { Creation, NewRepository } from './creation.ts';

/** A lease is extended, and progress written down, so many times in its duration. */
const REPORTS_PER_LEASE = 10;
/** What passes by itself and says nothing of the source: another attempt is made, on another node if need be. */
const PASSING: ReadonlySet<string> = new Set([
  'node_unreachable', 'node_starting', 'phase_timeout', 'store_unavailable', 'too_busy', 'no_quorum', 'outcome_unknown', 'aborted', 'shutting_down', 'replica_busy', 'disk_failure',
]);
const MAX_ATTEMPTS = 10;
const RETRY_MS = 1_000;
/** Refused refs that are told of. */
const MAX_TOLD = 5;

export interface ImportingOptions {
  /** Names this controller in claims. */
  holder: string;
  /** Imports that this controller carries at once. */
  concurrency: number;
  leaseMs: number;
  /** Refs that one push may create. */
  maxCommands: number;
}

/** One function for the log of every import that ends. */
export interface ImportEvents {
  imported(of: Import, outcome: 'done' | 'failed' | 'released' | 'lost', error: string | undefined): void;
}

/**
 * Fills repositories from elsewhere. A node fetches, and what it has goes to the replicas by one push: there is no second
 * way in. The push creates all refs and HEAD or nothing, so that whoever dies, a repository is either as it was made or
 * filled; which of the two, its generation says to the next holder of the import.
 */
export class Importing {
  readonly #imports: Imports;
  readonly #repositories: Repositories;
  readonly #creation: Creation;
  readonly #nodes: NodeRegistry;
  readonly #coordinator: Coordinator;
  readonly #events: ImportEvents;
  readonly #failpoint: Failpoint;
  readonly #options: ImportingOptions;
  readonly #running = new Map<string, { stop: AbortController; over: Promise<void> }>();
  #stopped = false;

  constructor(input: {
    imports: Imports; repositories: Repositories; creation: Creation; nodes: NodeRegistry; coordinator: Coordinator; events: ImportEvents;
    failpoint: Failpoint; options: ImportingOptions;
  }) {
    this.#imports = input.imports;
    this.#repositories = input.repositories;
    this.#creation = input.creation;
    this.#nodes = input.nodes;
    this.#coordinator = input.coordinator;
    this.#events = input.events;
    this.#failpoint = input.failpoint;
    this.#options = input.options;
  }

  /**
   * Makes the repository, and has it filled.
   * @param source a URL, or `node:/directory`
   * @throws TrivetError import_refused, and what a creation throws
   */
  async start(repository: NewRepository, source: string): Promise<Import> {
    const location = parseImportSource(source);
    if ('node' in location && this.#nodes.get(location.node) === undefined) throw new TrivetError('import_refused', { problem: 'no such node', node: location.node });
    const id = newId();
    await this.#creation.create({ ...repository, import: { id, source: 'url' in location ? location.url : source } });
    const started = await this.#imports.get(id);
    if (started === undefined) throw new TrivetError('import_not_found', { import: id });
    void this.tick().catch(() => {});
    return started;
  }

  /** Takes on what is due, as much as may run at once. */
  async tick(): Promise<void> {
    const { holder, leaseMs, concurrency } = this.#options;
    if (this.#stopped) return;
    const claimed = await this.#imports.claim({ holder, leaseMs, limit: concurrency - this.#running.size });
    for (const held of claimed) {
      const stop = new AbortController();
      if (this.#stopped) stop.abort(new TrivetError('shutting_down'));
      const over = this.#run(held, stop).finally(() => this.#running.delete(held.id));
      this.#running.set(held.id, { stop, over });
    }
  }

  /** Stops what runs, and gives it back to whoever comes next. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { stop } of this.#running.values()) stop.abort(new TrivetError('shutting_down'));
    await Promise.all([...this.#running.values()].map(({ over }) => over));
  }

  async #run(held: Import, stop: AbortController): Promise<void> {
    const progress: { now: ImportProgress; ask: () => Promise<void> } = { now: {}, ask: async () => {} };
    const timer = setInterval(() => {
      void progress.ask().catch(() => {}).then(async () => {
        if (!await this.#imports.report(held, progress.now, this.#options.leaseMs)) stop.abort(new TrivetError('aborted', { reason: 'the import is not this controller\'s any more' }));
      }).catch(() => {});
    }, this.#options.leaseMs / REPORTS_PER_LEASE);
    try {
      await this.#failpoint('import-claimed');
      await this.#fill(held, progress, stop.signal);
      await this.#failpoint('import-pushed');
      this.#events.imported(held, await this.#imports.done(held) ? 'done' : 'lost', undefined);
    } catch (error) {
      await this.#giveBack(held, error).catch(() => {});
    } finally {
      clearInterval(timer);
    }
  }

  async #fill(held: Import, progress: { now: ImportProgress; ask: () => Promise<void> }, signal: AbortSignal): Promise<void> {
    const route = await this.#repositories.routeById(held.repository);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: held.repositoryName });
    // An earlier holder's push was committed.
    if (route.repository.generation > 0) return;
    const location = parseImportSource(held.source);
    const node = 'node' in location ? this.#named(location.node) : this.#freest();
    progress.now = { phase: 'fetching', node: node.id };
    const attempt = newId();
    progress.ask = async () => { Object.assign(progress.now, await node.client.importProgress(attempt)); };
    await this.#imports.report(held, progress.now, this.#options.leaseMs);
    const source = 'url' in location ? location : { directory: location.directory };
    const fetched = await node.client.import(attempt, { source, objectFormat: route.repository.objectFormat }, signal);
    try {
      await this.#failpoint('import-fetched');
      const { objects, bytes } = fetched.header;
      progress.ask = async () => {};
      progress.now = { phase: 'pushing', objects, totalObjects: objects, bytes };
      await this.#imports.report(held, progress.now, this.#options.leaseMs);
      await this.#push(route, fetched, signal);
    } finally {
      fetched.close();
    }
  }

  /** One transaction, atomic: all refs, and HEAD. */
  async #push(route: Route, { header, pack }: NodeImport, signal: AbortSignal): Promise<void> {
    const { refs, head } = header;
    const { maxCommands } = this.#options;
    if (refs.length > maxCommands) throw new TrivetError('too_many_commands', { refs: refs.length, limit: maxCommands });
    if (refs.length === 0) return;
    const zero = zeroOid(route.repository.objectFormat);
    const commands = refs.map(([ref, oid]) => ({ ref, old: zero, new: oid }));
    const change = { commands, capabilities: new Set(['atomic']), shallow: [], pushOptions: [], ...(head === null ? {} : { defaultBranch: head }) };
    const { unpack, verdicts } = await this.#coordinator.push(route, change, pack, signal);
    if (unpack === 'ok' && verdicts.every((verdict) => verdict === OK)) return;
    const refused = commands.flatMap(({ ref }, i) => (verdicts[i] === OK ? [] : [`${ref}: ${verdicts[i]}`]));
    throw new TrivetError('import_failed', { problem: unpack === 'ok' ? 'refs were refused' : unpack, refs: refused.slice(0, MAX_TOLD) });
  }

  async #giveBack(held: Import, error: unknown): Promise<void> {
    const fault = asTrivetError(error);
    const told = `${fault.code}: ${fault.message}${Object.keys(fault.fields).length === 0 ? '' : ` ${JSON.stringify(fault.fields)}`}`;
    const stopping = fault.code === 'shutting_down';
    const again = PASSING.has(fault.code) && (held.attempt < MAX_ATTEMPTS || stopping);
    const kept = again ? await this.#imports.release(held, told, stopping ? 0 : RETRY_MS * held.attempt) : await this.#imports.fail(held, told);
    this.#events.imported(held, !kept ? 'lost' : again ? 'released' : 'failed', told);
  }

  #named(id: string): KnownNode {
    const node = this.#nodes.usable(id);
    if (node === undefined) throw new TrivetError('node_unreachable', { node: id });
    return node;
  }

  /** The usable node with the most free disk. */
  #freest(): KnownNode {
    const usable = this.#nodes.all.filter(({ id }) => this.#nodes.writable(id) !== undefined);
    const [freest] = usable.sort((a, b) => (b.status?.diskFreeBytes ?? 0) - (a.status?.diskFreeBytes ?? 0));
    if (freest === undefined) throw new TrivetError('node_unreachable', { problem: 'no node can be used' });
    return freest;
  }
}
