import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Link, type Cut } from './link.ts';
import { partBehind } from './peer.ts';

/** The clients' end of every link to a controller. */
export const CLIENTS = 'clients';

/**
 * All ways between the parts: a TCP proxy in front of each, so that any pair can be cut, one way too, or slowed down.
 * A part that is told its peer's address by its own configuration gets a proxy of its own; where several share one
 * address (a node's, which the database hands to everybody), the peer is looked up when it connects.
 */
export class Network {
  readonly #links = new Map<string, Link>();
  readonly #servers: Server[] = [];
  readonly #accepted = new Set<Socket>();
  readonly #pids: () => ReadonlyMap<string, number>;
  readonly #onStranger: (to: string) => void;

  /**
   * @param pids the parts that run now
   * @param onStranger told when a connection came from none of the parts; it is refused
   */
  constructor(pids: () => ReadonlyMap<string, number>, onStranger: (to: string) => void = () => {}) {
    this.#pids = pids;
    this.#onStranger = onStranger;
  }

  link(from: string, to: string): Link {
    const key = `${from}→${to}`;
    let link = this.#links.get(key);
    if (link === undefined) this.#links.set(key, link = new Link(from, to));
    return link;
  }

  get links(): Link[] {
    return [...this.#links.values()];
  }

  cut(from: string, to: string, how: Cut): void {
    this.link(from, to).cut(how);
  }

  healAll(): void {
    for (const link of this.#links.values()) link.heal();
  }

  /**
   * Opens a proxy in front of `to`.
   * @param from whose address this is, or undefined when the peer has to be looked up
   * @returns its port
   */
  async open(from: string | undefined, to: string, targetPort: number): Promise<number> {
    if (from !== undefined) this.link(from, to);
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
      this.#accepted.add(client);
      client.on('error', () => {});
      client.once('close', () => { this.#accepted.delete(client); });
      void this.#accept(from, to, client, targetPort);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.healAll();
    for (const socket of this.#accepted) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((done) => { server.close(done); })));
  }

  async #accept(from: string | undefined, to: string, client: Socket, targetPort: number): Promise<void> {
    const name = from ?? await partBehind(client.remotePort!, client.localPort!, this.#pids());
    if (name === undefined) {
      if (!client.destroyed) this.#onStranger(to);
      client.resetAndDestroy();
      return;
    }
    const server = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    server.on('error', () => {});
    this.link(name, to).carry(client, server);
    client.resume();
  }
}
