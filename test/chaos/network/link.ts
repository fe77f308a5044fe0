import type { Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * How a cut behaves. `refuse`: connections break and new ones are refused. The others are silent: bytes wait, both ways or
 * one way, and arrive late when the cut ends, as TCP's own repetitions would bring them.
 */
export type Cut = 'refuse' | 'hold' | 'hold-requests' | 'hold-answers';
type Direction = 'request' | 'answer';

/** The way from one part to another: everything passes until it is told otherwise. Any number of connections use it. */
export class Link {
  readonly from: string;
  readonly to: string;
  readonly #sockets = new Set<Socket>();
  #cut: Cut | undefined;
  #delayMs = 0;
  #rewriting: { from: string; to: string } | undefined;
  #rewritten = 0;
  #wake: (() => void)[] = [];

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }

  cut(how: Cut): void {
    this.#cut = how;
    if (how === 'refuse') this.breakConnections();
    this.#changed();
  }

  /** Every chunk of bytes takes so long, each way. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Puts `to` in place of `from`, which is as long, in every request. Neither may be broken over two chunks. */
  rewrite(from: string, to: string): void {
    if (from.length !== to.length) throw new Error(`${to} is not as long as ${from}`);
    this.#rewriting = { from, to };
  }

  /** How many chunks were rewritten. */
  get rewritten(): number {
    return this.#rewritten;
  }

  /** Ends whatever was done to it. */
  heal(): void {
    this.#cut = undefined;
    this.#delayMs = 0;
    this.#rewriting = undefined;
    this.#changed();
  }

  breakConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Joins two sockets until one of them ends. */
  carry(client: Socket, server: Socket): void {
    if (this.#cut === 'refuse') {
      client.resetAndDestroy();
      server.destroy();
      return;
    }
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => { this.#sockets.delete(socket); });
    }
    void this.#pump(client, server, 'request');
    void this.#pump(server, client, 'answer');
  }

  async #pump(source: Socket, sink: Socket, direction: Direction): Promise<void> {
    let clean = false;
    try {
      // Half a connection may end before the other: the iterator must not take the whole socket with it.
      for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        await this.#passage(direction);
        // What can't be delivered is the sender's to know.
        if (sink.destroyed) return void source.resetAndDestroy();
        if (!sink.write(direction === 'request' ? this.#asRewritten(chunk) : chunk)) await Promise.race([once(sink, 'drain'), once(sink, 'close')]);
      }
      clean = source.readableEnded;
    } catch {
      // The connection broke; below the other side learns of it.
    }
    // That an end died is no more seen through a cut than its words are heard.
    await this.#passage(direction);
    if (clean && !sink.destroyed) sink.end();
    else sink.resetAndDestroy();
  }

  async #passage(direction: Direction): Promise<void> {
    if (this.#delayMs > 0) await sleep(this.#delayMs);
    while (this.#cut === 'hold' || this.#cut === `hold-${direction}s`) await new Promise<void>((resolve) => { this.#wake.push(resolve); });
  }

  #asRewritten(chunk: Buffer): Buffer {
    if (this.#rewriting === undefined || !chunk.includes(this.#rewriting.from)) return chunk;
    this.#rewritten++;
    return Buffer.from(chunk.toString('latin1').replaceAll(this.#rewriting.from, this.#rewriting.to), 'latin1');
  }

  #changed(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}
