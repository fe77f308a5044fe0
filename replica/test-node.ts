import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import pino from 'pino';
import { newId } from '@trivet/proto/id.ts';
import type { RepairAnswer, RepairRequest, ReplicaPosition, VerifyAnswer, VoteHeader } from '@trivet/proto/messages.ts';
import { zeroOid, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { readReplicaConfig } from './config.ts';
import { makeContext, type ReplicaContext } from './context.ts';
import { makeServer, type App } from './http/server.ts';
import { recover } from './participant/recovery.ts';
import { blob, buildPack, commit, idOf, streamOf, tree, whole } from './quarantine/test-pack.ts';

// For tests: nodes with real files, a real journal and a real HTTP server, without a controller; and pushes to them.

export const TOKEN = 'token-of-the-test-nodes';

export class TestNode {
  readonly directory: string;
  readonly context: ReplicaContext;
  readonly app: App;
  readonly url: string;
  #crashed = false;

  private constructor(directory: string, context: ReplicaContext, app: App, url: string) {
    this.directory = directory;
    this.context = context;
    this.app = app;
    this.url = url;
  }

  /**
   * A node that serves.
   * @param directory of an earlier one, stopped or left as a crash would leave it: it is recovered first
   */
  static async start(t: ExecutionContext, options: { directory?: string; port?: number; environment?: Record<string, string> } = {}): Promise<TestNode> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'trivet-node-'));
    const config = readReplicaConfig({
      TRIVET_NODE: 'n1', TRIVET_DIRECTORY: directory, TRIVET_TOKEN: TOKEN, TRIVET_CONTROLLERS: 'http://127.0.0.1:9', TRIVET_RESPONSE_CACHE_BYTES: '0',
      NODE_ENV: 'test', TRIVET_FAILPOINTS: join(directory, 'failpoints'), ...options.environment,
    });
    mkdirSync(join(directory, 'failpoints'), { recursive: true });
    const context = makeContext(config, pino({ level: 'silent' }), { node: 'n1' });
    const records = await context.journal.read();
    context.journal.keep((await recover(context.disk, records, async () => ({ outcome: 'abort' }))).kept);
    await context.journal.rotate(() => []);
    const app = makeServer(context);
    await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
    context.ready = true;
    const node = new TestNode(directory, context, app, `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
    t.teardown(async () => {
      await node.stop();
      rmSync(directory, { recursive: true, force: true });
    });
    return node;
  }

  /** Makes this node stop for ever at a failpoint, as a crash would; resolves when it is there. Another starts on its disk. */
  async crashAt(failpoint: string): Promise<void> {
    const path = join(this.directory, 'failpoints', failpoint);
    writeFileSync(path, 'hang');
    while (existsSync(path)) await sleep(5);
    this.#crashed = true;
    this.app.server.closeAllConnections();
    await this.app.close();
  }

  async stop(): Promise<void> {
    if (this.#crashed) return;
    this.context.lifelines.close();
    this.app.server.closeAllConnections();
    await this.app.close();
    await this.context.readers.closeAll();
    await this.context.repair.close();
    await this.context.maintenance.close();
    await this.context.imports.close();
    await this.context.controllers.close();
    await this.context.journal.close();
  }

  gitDir(id: string): string {
    return this.context.replicas.gitDir(id);
  }

  position(id: string): Promise<ReplicaPosition> {
    return this.context.replicas.use(id, (replica) => replica.exclusively(async () => replica.position));
  }

  /** A round of repair, as a controller asks for it, without HTTP. */
  repair(id: string, source: TestNode | string, message: Partial<RepairRequest>, signal = new AbortController().signal): Promise<RepairAnswer> {
    return this.context.repair.run(id, {
      job: '0'.repeat(32), source: typeof source === 'string' ? source : source.url, objectFormat: 'sha1', round: 'objects', way: 'fetch', ...message,
    }, signal);
  }

  verify(id: string, full = false): Promise<VerifyAnswer> {
    return this.context.verify.run(id, full, new AbortController().signal);
  }

  request(method: 'GET' | 'POST' | 'DELETE', path: string, options: { body?: object; headers?: Record<string, string> } = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...(options.body && { 'content-type': 'application/json' }), ...options.headers },
      ...(options.body && { body: JSON.stringify(options.body) }),
    });
  }

  git(id: string, ...args: string[]): string {
    const { stdout, stderr, status } = spawnSync('git', args, { cwd: this.gitDir(id), encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: '/nonexistent', LC_ALL: 'C' } });
    if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  }
}

/** A repository on several nodes, and what was pushed to it last. */
export class TestRepository {
  readonly id = newId();
  readonly format: ObjectFormat;
  readonly tips = new Map<string, Oid>();
  #generation = 0;
  #pushes = 0;

  constructor(format: ObjectFormat = 'sha1') {
    this.format = format;
  }

  get generation(): number {
    return this.#generation;
  }

  async createOn(...nodes: TestNode[]): Promise<void> {
    for (const node of nodes) await node.context.replicas.create(this.id, this.format, 'refs/heads/main');
  }

  /** A commit with a file of `fileBytes`, through vote, prepare and commit on each of these nodes. Gives its id. */
  async push(nodes: readonly TestNode[], options: { ref?: string; fileBytes?: number } = {}): Promise<Oid> {
    const { header, pack, ref, oid } = this.#makePush(options);
    const batch = newId();
    for (const { context: { participant, replicas } } of nodes) {
      await replicas.use(this.id, async (replica) => {
        await participant.vote(replica, header, streamOf(pack), new AbortController().signal);
        const prepared = await participant.prepare(replica, { batch, transactions: [header.transaction], generation: this.#generation, coordinator: '0'.repeat(32) });
        await participant.commit(replica, { batch, after: { generation: prepared.generation, digest: prepared.after } });
      });
    }
    this.tips.set(ref, oid);
    this.#generation += 1;
    return oid;
  }

  /** Takes a push as far as its vote on one node, to a branch of its own. */
  async voteOn({ context: { participant, replicas } }: TestNode): Promise<{ transaction: string; generation: number }> {
    const { header, pack } = this.#makePush({ ref: `refs/heads/voted-${this.#pushes}` });
    return replicas.use(this.id, async (replica) => {
      const { generation } = replica;
      await participant.vote(replica, { ...header, generation }, streamOf(pack), new AbortController().signal);
      return { transaction: header.transaction, generation };
    });
  }

  #makePush(options: { ref?: string; fileBytes?: number }) {
    const { ref = 'refs/heads/main', fileBytes = 100 } = options;
    const number = ++this.#pushes;
    const file = blob(textOf(number, fileBytes));
    const root = tree([['100644', `file-${number}`, idOf(file, this.format)]]);
    const old = this.tips.get(ref);
    const made = commit({ tree: idOf(root, this.format), parents: old === undefined ? [] : [old], message: `push ${number}\n` });
    const oid = idOf(made, this.format);
    const header: VoteHeader = {
      transaction: newId(), commands: [{ ref, old: old ?? zeroOid(this.format), new: oid }], atomic: false,
      policy: { denyNonFastForwards: false, denyDeletes: false }, generation: this.#generation, pack: true,
    };
    return { header, pack: buildPack([whole(file), whole(root), whole(made)], this.format), ref, oid };
  }
}

/** Text that hardly gets smaller when it is packed, another for each number. */
function textOf(number: number, bytes: number): string {
  let text = '';
  for (let line = 0; text.length < bytes; line++) text += `${createHash('sha512').update(`${number} ${line}`).digest('base64')}\n`;
  return text;
}
