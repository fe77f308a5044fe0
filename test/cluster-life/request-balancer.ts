import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

/**
 * Sends every single request to the next backend, so that the two requests of one push, or the three of one clone, are
 * answered by different controllers, and none can lean on what it told the client before.
 */
export class RequestBalancer {
  readonly #server: Server;
  readonly #ports: readonly number[];
  readonly #remembered: Map<string, { headers: IncomingMessage['headers']; body: Buffer }> | undefined;
  #turn = 0;

  private constructor(ports: readonly number[], remembers: boolean) {
    this.#ports = ports;
    this.#remembered = remembers ? new Map() : undefined;
    this.#server = createServer((incoming, outgoing) => { void this.#answer(incoming, outgoing).catch(() => outgoing.destroy()); });
  }

  /** @param remembers for a control: answers listings of refs from memory, as a controller would that cached what it knows */
  static async start(ports: readonly number[], remembers = false): Promise<RequestBalancer> {
    const balancer = new RequestBalancer(ports, remembers);
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => { this.#server.close(done); });
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const isListing = body.includes('command=ls-refs') || incoming.url!.endsWith('service=git-upload-pack');
    const key = isListing ? `${incoming.url} ${incoming.headers['git-protocol']} ${body.toString('latin1')}` : undefined;
    const known = key === undefined ? undefined : this.#remembered?.get(key);
    if (known !== undefined) {
      outgoing.writeHead(200, known.headers).end(known.body);
      return;
    }
    const answer = await this.#ask(incoming, body);
    // Whole bodies in both directions would hide that an answer breaks off.
    if (key === undefined || this.#remembered === undefined) {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      await pipeline(answer, outgoing);
      return;
    }
    const whole = await buffer(answer);
    if (answer.statusCode === 200) this.#remembered.set(key, { headers: { 'content-type': answer.headers['content-type'] }, body: whole });
    outgoing.writeHead(answer.statusCode!, { 'content-type': answer.headers['content-type'] }).end(whole);
  }

  /** The next backend; only one that can't be connected to is passed over, for nobody knows what another has done. */
  async #ask({ url, method, headers }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const turn = this.#turn++;
    for (let i = 0; ; i++) {
      const port = this.#ports[(turn + i) % this.#ports.length]!;
      // The body is whole by now, whatever way it came.
      const { 'transfer-encoding': _, connection: __, expect: ___, ...rest } = headers;
      const asked = request({ port, host: '127.0.0.1', path: url, method, headers: { ...rest, 'content-length': body.length }, agent: false });
      asked.end(body);
      try {
        const [answer] = await once(asked, 'response') as [IncomingMessage];
        return answer;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED' || i + 1 >= this.#ports.length) throw error;
      }
    }
  }
}
