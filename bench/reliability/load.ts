import { setTimeout as sleep } from 'node:timers/promises';
import { listRefs } from '../client/clone.ts';
import { HttpClient } from '../client/http.ts';
import { push, type RefUpdate } from '../client/push.ts';
import { PushChain } from '../repositories/push-chain.ts';
import type { PreparedPush } from '../repositories/push-chains.ts';

/** A push that has no answer by then has failed: no deadline of the cluster's is longer than 30 s. */
const PUSH_DEADLINE_MS = 60_000;
const RETRY_MS = 50;

/** What became of the pushes to one repository; times are those of `performance.now()`. */
export interface LoadRecord {
  successes: { atMs: number; tookMs: number }[];
  failures: { atMs: number; reason: string }[];
  /** Where every branch has to be now. */
  refs: RefUpdate[];
}

/**
 * Clients that push to one repository until they are told to stop, each over a kept-alive connection of its own, to a
 * branch of its own, one push after another. A push that fails is counted and made again.
 */
export class PushLoad {
  readonly #url: string;
  readonly #chains: readonly PushChain[];
  readonly #refs = new Map<string, RefUpdate>();
  readonly #record: Omit<LoadRecord, 'refs'> = { successes: [], failures: [] };
  #clients: Promise<unknown> = Promise.resolve();
  #stopping = false;

  /** @param url of a repository that holds nothing but `PushChain.base()` */
  constructor(url: string, clients: number) {
    this.#url = url;
    this.#chains = Array.from({ length: clients }, (_, i) => new PushChain(`client-${i}`));
    for (const update of PushChain.base().updates) this.#refs.set(update.ref, update);
  }

  start(): void {
    this.#clients = Promise.all(this.#chains.map((chain) => this.#run(chain)));
    // Told by `stop`; without this a client that gives up earlier would end the bench.
    this.#clients.catch(() => {});
  }

  /** Resolves when every push under way has ended. Throws Error when a client had to give up. */
  async stop(): Promise<LoadRecord> {
    this.#stopping = true;
    await this.#clients;
    return { ...this.#record, refs: [...this.#refs.values()] };
  }

  async #run(chain: PushChain): Promise<void> {
    let client = new HttpClient();
    try {
      while (!this.#stopping) {
        const next = chain.next();
        while (!await this.#attempt(client, next)) {
          // What its connection is worth nobody knows.
          client.close();
          client = new HttpClient();
          if (await this.#landed(client, next)) break;
        }
        for (const update of next.updates) this.#refs.set(update.ref, update);
      }
    } finally {
      client.close();
    }
  }

  async #attempt(client: HttpClient, { body, updates }: PreparedPush): Promise<boolean> {
    const begun = performance.now();
    const late = new AbortController();
    try {
      await Promise.race([
        push(client, this.#url, body, updates.map(({ ref }) => ref)),
        sleep(PUSH_DEADLINE_MS, undefined, { signal: late.signal }).then(() => {
          throw new Error(`no answer within ${PUSH_DEADLINE_MS / 1000} s`);
        }),
      ]);
      const now = performance.now();
      this.#record.successes.push({ atMs: now, tookMs: now - begun });
      return true;
    } catch (error) {
      this.#record.failures.push({ atMs: performance.now(), reason: reasonOf(error) });
      return false;
    } finally {
      late.abort();
    }
  }

  /** Whether a push that was answered with a failure is there all the same, or was never to be. */
  async #landed(client: HttpClient, { updates }: PreparedPush): Promise<boolean> {
    const deadline = performance.now() + PUSH_DEADLINE_MS;
    for (;;) {
      await sleep(RETRY_MS);
      try {
        const refs = await listRefs(client, this.#url);
        return updates.every((update) => refs.get(update.ref) === update.new);
      } catch (cause) {
        if (performance.now() > deadline) throw new Error('the refs could not be read after a failed push', { cause });
      }
    }
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0]!.slice(0, 200);
}
