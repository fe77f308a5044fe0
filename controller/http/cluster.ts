import type { FastifyInstance, FastifyReply } from 'fastify';
import { ClusterStatus } from '../rest/cluster.ts';
import type { LiveMessage, Listener } from '../status/live.ts';

/** A listener that has so much left to read has stopped reading. */
const MAX_UNREAD_BYTES = 1024 * 1024;
/** How long a browser waits until it connects again. */
const RETRY_MS = 1_000;

/** What these routes need of the controller. */
export interface ClusterPart {
  status: { get(): Promise<ClusterStatus> };
  live: { listen(listener: Listener): () => void };
}

/** REST: the whole cluster at one glance, once or as it changes. */
export function registerCluster(app: FastifyInstance, { status, live }: ClusterPart): void {
  app.get('/api/v1/cluster', { schema: { response: { 200: ClusterStatus } } }, async () => status.get());

  app.get('/api/v1/live', async (_request, reply) => {
    const stream = new EventStream(reply);
    const leave = live.listen(stream);
    reply.raw.once('close', leave);
    stream.begin();
  });
}

/** Server-sent events on an answer: https://html.spec.whatwg.org/multipage/server-sent-events.html */
class EventStream implements Listener {
  readonly #reply: FastifyReply;
  #waiting: string[] | undefined = [`retry: ${RETRY_MS}\n\n`];

  constructor(reply: FastifyReply) {
    this.#reply = reply;
  }

  begin(): void {
    this.#reply.hijack();
    // No proxy may keep anything back to send it with what follows.
    this.#reply.raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    for (const text of this.#waiting ?? []) this.#reply.raw.write(text);
    this.#waiting = undefined;
  }

  tell(message: LiveMessage): void {
    const { kind, ...rest } = message;
    const data = 'status' in rest ? rest.status : rest;
    this.#write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    this.#reply.raw.end();
  }

  #write(text: string): void {
    if (this.#waiting !== undefined) this.#waiting.push(text);
    else if (this.#reply.raw.writableLength > MAX_UNREAD_BYTES) this.#reply.raw.destroy();
    else this.#reply.raw.write(text);
  }
}
