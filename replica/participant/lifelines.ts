import type { Socket } from 'node:net';
import type { Replicas } from '../repository/replicas.ts';
import type { InDoubt } from './in-doubt.ts';

/** A coordinator that lives may have closed a connection for a reason of its own; by then it has decided, mostly. */
const PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;

/**
 * The connections on which promises were asked for. When one closes while its promise is still held, whoever asked is
 * probably dead: the decision is asked for after a short pause, instead of when the promise has become old, and again with
 * longer pauses until somebody knows.
 *
 * A promise is watched from its prepare to its end; a connection that is kept alive has one listener, whatever it carries.
 */
export class Lifelines {
  readonly #replicas: Replicas;
  readonly #inDoubt: InDoubt;
  /** For each connection, the batches promised on it that haven't ended, with their repositories. */
  readonly #batches = new Map<Socket, Map<string, string>>();
  readonly #sockets = new Map<string, Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #closing = false;

  constructor(replicas: Replicas, inDoubt: InDoubt) {
    this.#replicas = replicas;
    this.#inDoubt = inDoubt;
  }

  /** Batches that are watched. */
  get size(): number {
    return this.#sockets.size;
  }

  /** A batch was promised on this connection, which may be closed already. */
  watch(socket: Socket, repository: string, batch: string): void {
    this.forget(batch);
    if (socket.destroyed) {
      this.#suspect(repository, batch, PAUSE_MS);
      return;
    }
    let batches = this.#batches.get(socket);
    if (batches === undefined) {
      batches = new Map();
      this.#batches.set(socket, batches);
      socket.once('close', () => this.#closed(socket));
    }
    batches.set(batch, repository);
    this.#sockets.set(batch, socket);
  }

  /** The batch has ended. */
  forget(batch: string): void {
    const socket = this.#sockets.get(batch);
    this.#sockets.delete(batch);
    if (socket !== undefined) this.#batches.get(socket)?.delete(batch);
  }

  /** Asks nobody any more. */
  close(): void {
    this.#closing = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #closed(socket: Socket): void {
    const batches = this.#batches.get(socket)!;
    this.#batches.delete(socket);
    for (const [batch, repository] of batches) {
      this.#sockets.delete(batch);
      this.#suspect(repository, batch, PAUSE_MS);
    }
  }

  #suspect(repository: string, batch: string, pauseMs: number): void {
    if (this.#closing) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const replica = [...this.#replicas.opened].find(({ id }) => id === repository);
      if (replica?.promise?.record.batch !== batch) return;
      void this.#inDoubt.settle(replica).then(() => {
        if (replica.promise?.record.batch === batch) this.#suspect(repository, batch, Math.min(2 * pauseMs, MAX_PAUSE_MS));
      });
    }, pauseMs);
    this.#timers.add(timer);
  }
}
