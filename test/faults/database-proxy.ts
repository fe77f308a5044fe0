import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A query as a MySQL client says it: behind the byte for COM_QUERY. */
const COMMIT = '\x03COMMIT';

/** A wire to a database that a test can cut. Everything passes until it is told otherwise. */
export class DatabaseProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #state: { down: boolean; commit: 'before' | 'after' | undefined };

  private constructor(url: string, server: Server, sockets: Set<Socket>, state: { down: boolean; commit: 'before' | 'after' | undefined }) {
    this.url = url;
    this.#server = server;
    this.#sockets = sockets;
    this.#state = state;
  }

  static async start(target: string): Promise<DatabaseProxy> {
    const { hostname, port } = new URL(target);
    const sockets = new Set<Socket>();
    const state: { down: boolean; commit: 'before' | 'after' | undefined } = { down: false, commit: undefined };
    const server = createServer((client) => {
      if (state.down) return void client.destroy();
      const database = connect(Number(port), hostname);
      let deaf = false;
      for (const socket of [client, database]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.once('close', () => { sockets.delete(socket); client.destroy(); database.destroy(); });
      }
      client.on('data', (chunk: Buffer) => {
        const fate = chunk.includes(COMMIT) ? state.commit : undefined;
        if (fate !== undefined) state.commit = undefined;
        if (fate === 'before') return void client.destroy();
        deaf ||= fate === 'after';
        database.write(chunk);
      });
      database.on('data', (chunk: Buffer) => {
        // The database has answered, so it has committed; its client never learns.
        if (deaf) client.destroy();
        else client.write(chunk);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(target);
    url.port = String((server.address() as { port: number }).port);
    return new DatabaseProxy(url.href, server, sockets, state);
  }

  /** Cuts the connection once: when the next COMMIT is said, before the database hears it or after it has answered. */
  cutAtCommit(when: 'before' | 'after'): void {
    this.#state.commit = when;
  }

  /** Whether the cut that was ordered has been made. */
  get hasCut(): boolean {
    return this.#state.commit === undefined;
  }

  /** Cuts every connection and refuses new ones until `up`. */
  down(): void {
    this.#state.down = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  up(): void {
    this.#state.down = false;
  }

  async stop(): Promise<void> {
    this.down();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
