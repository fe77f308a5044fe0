import type { ExecutionContext } from 'ava';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { zeroOid } from '@trivet/proto/object-format.ts';
import { blob, buildPack, commit, idOf, tree, whole, type TestObject } from '../../replica/quarantine/test-pack.ts';
import { Cluster, expectEqualReplicas, expectNothingLeft, type ClusterOptions, type RepositoryView } from '../cluster.ts';
import { ask, type Answer, type RawRequest } from './raw-http.ts';

export const ZERO = zeroOid('sha1');
export const PUSH_TYPE = 'application/x-git-receive-pack-request';

/** On a busy machine no replica shall fall behind by slowness: whatever changes here, a client did. */
const PATIENT = { TRIVET_VOTE_GRACE_MS: '10000', TRIVET_PREPARE_GRACE_MS: '10000', TRIVET_COMMIT_GRACE_MS: '10000' };

export interface PushInput {
  /** `old new ref`, as it stands in the line. */
  commands: readonly (string | Buffer)[];
  capabilities?: string;
  pack?: Buffer;
}

/** The body of a push. */
export function pushBody({ commands, capabilities = 'report-status', pack }: PushInput): Buffer {
  const lines = commands.map((command, i) => encodePacket(i === 0 ? Buffer.concat([Buffer.from(command as string), Buffer.from(`\0${capabilities}`)]) : command));
  return Buffer.concat([...lines, FLUSH, pack ?? Buffer.alloc(0)]);
}

/** A sound commit object that no other test makes, with what it needs. */
export function soundHistory(text: string): { tip: string; objects: TestObject[] } {
  const file = blob(`${text}\n`);
  const root = tree([['100644', 'file', idOf(file, 'sha1')]]);
  const tip = commit({ tree: idOf(root, 'sha1'), message: text });
  return { tip: idOf(tip, 'sha1'), objects: [tip, root, file] };
}

/** A cluster with one repository that hostile clients aim at, and what must hold after each of them. */
export class Target {
  readonly cluster: Cluster;
  readonly repository: string;
  #pushes = 0;

  private constructor(cluster: Cluster, repository: string) {
    this.cluster = cluster;
    this.repository = repository;
  }

  /** With one branch, `refs/heads/base`. */
  static async start(options: ClusterOptions = {}): Promise<Target> {
    const cluster = await Cluster.start({ ...options, environment: { ...PATIENT, ...options.environment } });
    try {
      await cluster.create('target');
      const target = new Target(cluster, 'target');
      await target.goodPush('base');
      return target;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get path(): string {
    return `/git/${this.repository}.git`;
  }

  ask(request: RawRequest): Promise<Answer> {
    return ask(this.cluster.port, request);
  }

  push(body: Buffer, headers: Record<string, string | number> = {}): Promise<Answer> {
    return this.ask({ method: 'POST', target: `${this.path}/git-receive-pack`, headers: { 'content-type': PUSH_TYPE, ...headers }, body });
  }

  view(): Promise<RepositoryView> {
    return this.cluster.show(this.repository);
  }

  /** Pushes one commit object to a new branch, and fails unless it is accepted. */
  async goodPush(branch = `good-${++this.#pushes}`): Promise<string> {
    const { tip, objects } = soundHistory(`${branch} ${this.#pushes}`);
    const body = pushBody({ commands: [`${ZERO} ${tip} refs/heads/${branch}`], pack: buildPack(objects.map(whole), 'sha1') });
    const answer = await this.push(body);
    if (!answer.body.includes(`ok refs/heads/${branch}\n`)) throw new Error(`a good push failed: ${answer.status} ${answer.body}`);
    return tip;
  }

  /** Runs a scenario, and fails unless it left everything as it was and a good push works after it. */
  async unharmed(t: ExecutionContext, scenario: () => Promise<void>): Promise<void> {
    const before = await this.cluster.converged(this.repository);
    await scenario();
    await expectNothingLeft(this.cluster);
    const after = await this.view();
    t.is(after.generation, before.generation, 'the generation is that of before');
    t.is(after.digest, before.digest, 'the refs are those of before');
    for (const replica of after.replicas) {
      t.like(replica, { state: 'current', generation: before.generation, digest: before.digest }, `${replica.node} is that of before`);
    }
    await this.goodPush();
    t.is((await this.view()).generation, before.generation + 1);
    const metrics = await this.cluster.metrics('controller');
    t.regex(metrics, /^trivet_pushes_voting\{[^}]*\} 0$/m, 'no push is left in the vote phase');
  }

  /** At the end of a file: everything that was accepted is on all replicas, and sound. */
  async finish(t: ExecutionContext): Promise<void> {
    await expectEqualReplicas(this.cluster, this.repository);
    await expectNothingLeft(this.cluster);
    t.pass();
  }
}
