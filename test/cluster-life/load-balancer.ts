import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Backend { name: string; port: number }

/** How often each backend is asked whether it is ready. */
const CHECK_MS = 100;
const CHECK_DEADLINE_MS = 2_000;
const CONNECT_DEADLINE_MS = 1_000;

/**
 * A load balancer for TCP as there are many: new connections go in turn to the backends whose `/readyz` says yes. One that
 * can't be connected to is passed over. What is connected stays where it is.
 */
export class LoadBalancer {
  readonly #server: Server;
  readonly #backends: readonly Backend[];
  readonly #ready = new Map<string, boolean>();
  readonly #sockets = new Set<Socket>();
  readonly #timer: NodeJS.Timeout;
  #turn = 0;

  private constructor(backends: readonly Backend[]) {
    this.#backends = backends;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (client) => { void this.#accept(client); });
    this.#timer = setInterval(() => { void this.check(); }, CHECK_MS);
  }

  static async start(backends: readonly Backend[]): Promise<LoadBalancer> {
    const balancer = new LoadBalancer(backends);
    await balancer.check();
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  isReady(name: string): boolean {
    return this.#ready.get(name) === true;
  }

  async check(): Promise<void> {
    await Promise.all(this.#backends.map(async ({ name, port }) => {
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(CHECK_DEADLINE_MS) }).then(({ ok }) => ok, () => false);
      this.#ready.set(name, ready);
    }));
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => { this.#server.close(done); });
  }

  async #accept(client: Socket): Promise<void> {
    this.#keep(client);
    const turn = this.#turn++;
    const ready = this.#backends.filter(({ name }) => this.isReady(name));
    for (let i = 0; i < ready.length; i++) {
      const backend = await this.#connect(ready[(turn + i) % ready.length]!);
      if (backend === undefined) continue;
      client.pipe(backend);
      backend.pipe(client);
      // One that breaks breaks the other; one that ends only ends it.
      client.once('close', (broken) => { if (broken) backend.resetAndDestroy(); });
      backend.once('close', (broken) => { if (broken) client.resetAndDestroy(); });
      return;
    }
    client.resetAndDestroy();
  }

  #connect({ port }: Backend): Promise<Socket | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      this.#keep(socket);
      const timer = setTimeout(() => socket.destroy(), CONNECT_DEADLINE_MS);
      socket.once('connect', () => { clearTimeout(timer); resolve(socket); });
      socket.once('close', () => { clearTimeout(timer); resolve(undefined); });
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => { this.#sockets.delete(socket); });
  }
}
