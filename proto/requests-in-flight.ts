import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often connections are looked at that have become idle, and whether the last answer has gone out. */
const LOOK_MS = 25;
/** Requests named one by one in a log line. */
const MAX_NAMED = 20;
const MAX_URL_LENGTH = 200;

/**
 * What a server is answering, and how it ends without breaking any of it off.
 *
 *   serving --lastAnswers--> every answer is the last on its connection --end--> nothing new is taken
 *
 * Between the two, whoever chooses among servers (a load balancer, a controller) has time to take this one out; until
 * then it serves as ever, for a client may be between the two requests of its push.
 */
export class RequestsInFlight {
  readonly #server: Server;
  readonly #requests = new Map<ServerResponse, string>();
  #last = false;

  /** @param server that hasn't answered anything yet */
  constructor(server: Server) {
    this.#server = server;
    // Before the handler, so that its answer says already that it is the last.
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#requests.set(response, `${request.method} ${request.url?.slice(0, MAX_URL_LENGTH)}`);
      if (this.#last) response.shouldKeepAlive = false;
      response.once('close', () => { this.#requests.delete(response); });
    });
  }

  get size(): number {
    return this.#requests.size;
  }

  /** Method and path of each, a few at most. */
  get named(): string[] {
    return [...this.#requests.values()].slice(0, MAX_NAMED);
  }

  /** From now on a connection is closed with the answer on it (`Connection: close`, RFC 9112, section 9.6). */
  lastAnswers(): void {
    this.#last = true;
    for (const response of this.#requests.keys()) if (!response.headersSent) response.shouldKeepAlive = false;
  }

  /**
   * Takes no new connection and closes those that are idle.
   * @param rest what else must be over; looked at again and again
   * @returns when nothing is being answered any more
   */
  async end(rest: () => boolean = () => true): Promise<void> {
    this.lastAnswers();
    this.#server.close();
    await this.over(() => {
      // Answers that had begun before may have left theirs open.
      this.#server.closeIdleConnections();
      return rest();
    });
    // Those on which no request ever came count as busy with one.
    this.#server.closeAllConnections();
  }

  /** Resolves at a moment at which nothing is being answered and the rest is over as well; what comes is served as ever. */
  async over(rest: () => boolean): Promise<void> {
    while (!rest() || this.size > 0) await sleep(LOOK_MS);
  }
}
