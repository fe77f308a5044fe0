import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import type { VerifyAnswer } from '@trivet/proto/messages.ts';
import type { Findings } from '../store/findings.ts';
import type { Repositories } from '../store/repositories.ts';
import type { LostState, Replica, ReplicaState, Route } from '../store/rows.ts';
import type { DueVerification, VerificationKind, Verifications } from '../store/verifications.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';

/** What a look at one replica came to. */
export interface VerificationResult {
  node: string;
  /** What SQL recorded of the replica before. */
  state: ReplicaState;
  result: 'equal' | LostState | 'unreachable';
  detail: string;
  packs: number;
  bytes: number;
  tookMs: number;
}

/** One function for the metric and the log of every verification, and of everything it finds. */
export interface VerificationEvents {
  verified(repository: string, kind: VerificationKind, result: VerificationResult): void;
  found(repository: string, node: string, kind: string, detail: string): void;
}

export interface VerificationOptions {
  /** How often the refs of every replica are compared with SQL, and how often all its objects are checked. */
  verifyIntervalMs: number;
  checkIntervalMs: number;
  /** How long a node is left in peace after each verification. */
  pauseMs: number;
}

/** A commit in flight makes SQL and disk differ for a moment: what differs is looked at again, after such pauses. */
const AGAIN_MS = [200, 1_000, 3_000];
/** A node that didn't answer is asked again after this long. */
const RETRY_MS = 30_000;
/** A replica that has been current for so long is not in the middle of being repaired. */
const LONG_CURRENT_MS = 600_000;
/** Replicas planned in one pass at most. */
const PLAN_LIMIT = 5_000;

/**
 * Compares disks with SQL in the background: what no vote sees. Each node is asked one thing at a time. What is found is
 * recorded, the replica is out of service at once, and its repair job open, all in one SQL transaction.
 */
export class Verification {
  readonly #verifications: Verifications;
  readonly #repositories: Repositories;
  readonly #findings: Findings;
  readonly #nodes: NodeRegistry;
  readonly #events: VerificationEvents;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #options: VerificationOptions;
  readonly #onFound: () => void;
  readonly #stop = new AbortController();
  /** Nodes that are being asked, or left in peace. */
  readonly #busy = new Map<string, Promise<void>>();

  /**
   * @param random from 0 to 1, to spread what is planned
   * @param onFound called when a repair has become due
   */
  constructor(input: {
    verifications: Verifications; repositories: Repositories; findings: Findings; nodes: NodeRegistry;
    events: VerificationEvents; clock: Clock; random(): number; options: VerificationOptions; onFound(): void;
  }) {
    this.#verifications = input.verifications;
    this.#repositories = input.repositories;
    this.#findings = input.findings;
    this.#nodes = input.nodes;
    this.#events = input.events;
    this.#clock = input.clock;
    this.#random = () => input.random();
    this.#options = input.options;
    this.#onFound = input.onFound;
  }

  /** Plans what is new, and starts what is due on every node that isn't busy. */
  async tick(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { verifyIntervalMs, checkIntervalMs } = this.#options;
    await this.#verifications.plan('verify', verifyIntervalMs, PLAN_LIMIT, this.#random);
    await this.#verifications.plan('check', checkIntervalMs, PLAN_LIMIT, this.#random);
    for (const node of this.#nodes.byUse.usable.filter((id) => !this.#busy.has(id))) {
      const due = await this.#verifications.claim('check', [node], checkIntervalMs)
        ?? await this.#verifications.claim('verify', [node], verifyIntervalMs);
      if (due === undefined) continue;
      this.#busy.set(node, this.#run(due).catch(() => {}).finally(() => this.#busy.delete(node)));
    }
  }

  /**
   * Verifies every replica of a repository now, whatever its state, and records what it finds.
   * @throws TrivetError repository_not_found
   */
  async verifyRepository(name: string, full: boolean): Promise<VerificationResult[]> {
    return this.#verifyNow(name, full, () => true);
  }

  /** Checks one replica in full now. Throws repository_not_found. */
  async verifyReplica(name: string, node: string): Promise<void> {
    await this.#verifyNow(name, true, (replica) => replica.node === node);
  }

  /** Compares every current replica of a repository with SQL now, by the repository's id. One that is gone is passed over. */
  async verifyMembers(repository: string): Promise<void> {
    const route = await this.#repositories.routeById(repository);
    const current = route?.replicas.filter((replica) => replica.state === 'current') ?? [];
    await Promise.allSettled(current.map((replica) => this.#verify({ repository, node: replica.node, kind: 'verify' }, replica)));
  }

  /** Ends what runs, which is due again at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#busy.values());
  }

  async #verifyNow(name: string, full: boolean, which: (replica: Replica) => boolean): Promise<VerificationResult[]> {
    const route = await this.#repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    const kind = full ? 'check' : 'verify';
    return Promise.all(route.replicas.filter(which).map(async (replica) => {
      try {
        return await this.#verify({ repository: route.repository.id, node: replica.node, kind }, replica);
      } catch (error) {
        return nothing(replica, 'unreachable', describe(error));
      }
    }));
  }

  async #run(due: DueVerification): Promise<void> {
    try {
      const replica = await this.#replica(due);
      if (replica?.state === 'current') await this.#verify(due, replica);
    } catch {
      await this.#verifications.again(due, this.#stop.signal.aborted ? 0 : RETRY_MS);
    }
    await this.#clock.sleep(this.#options.pauseMs, this.#stop.signal);
  }

  async #replica({ repository, node }: DueVerification): Promise<Replica | undefined> {
    return (await this.#repositories.routeById(repository))?.replicas.find((replica) => replica.node === node);
  }

  /** @throws what the node or the store said, when nothing can be said about the replica */
  async #verify(of: DueVerification, replica: Replica): Promise<VerificationResult> {
    let result = await this.#look(of, replica);
    for (const pauseMs of AGAIN_MS) {
      // Damage doesn't pass by itself; a difference may be a commit on its way.
      if (result.result === 'equal' || result.result === 'corrupt') break;
      await this.#clock.sleep(pauseMs, this.#stop.signal);
      const before = result;
      result = await this.#look({ ...of, kind: 'verify' }, replica);
      if (result.result === 'equal') result = { ...result, packs: before.packs, bytes: before.bytes };
    }
    this.#events.verified(of.repository, of.kind, result);
    if (result.result === 'equal') await this.#sound(of, replica);
    else await this.#record(of, result);
    return result;
  }

  /** What a repair set aside is not needed any more, should the controller that admitted the replica not have said so. */
  async #sound(of: DueVerification, replica: Replica): Promise<void> {
    await this.#verifications.done(of);
    const long = replica.state === 'current' && this.#clock.now() - replica.changedAt.getTime() > LONG_CURRENT_MS;
    if (of.kind === 'check' && long) await this.#nodes.usable(of.node)?.client.discardRepaired(of.repository).catch(() => {});
  }

  async #record({ repository, node }: DueVerification, { result, detail }: VerificationResult): Promise<void> {
    const now = (await this.#repositories.routeById(repository))?.replicas.find((replica) => replica.node === node);
    // Gone meanwhile, or known not to be current: then its job knows more than we do, unless objects are damaged.
    if (now === undefined || (now.state !== 'current' && result !== 'corrupt')) return;
    if (result === 'equal' || result === 'unreachable') return;
    if (await this.#findings.replica(repository, node, result, detail)) this.#events.found(repository, node, result, detail);
    this.#onFound();
  }

  async #look({ repository, node, kind }: DueVerification, replica: Replica): Promise<VerificationResult> {
    const known = this.#nodes.usable(node);
    if (known === undefined) throw new TrivetError('node_unreachable', { node });
    // Read before the node is asked: whatever SQL had then, the node must have by the time it answers, or soon.
    const before = await this.#repositories.routeById(repository);
    let answer: VerifyAnswer;
    try {
      answer = await known.client.verify(repository, kind === 'check', this.#stop.signal);
    } catch (error) {
      const { code } = asTrivetError(error);
      if (code === 'replica_missing') return nothing(replica, 'missing', 'the node has no such repository on its disk');
      if (code === 'refs_unreadable') return nothing(replica, 'diverged', describe(error));
      throw error;
    }
    const after = await this.#repositories.routeById(repository);
    if (before === undefined || after === undefined) throw new TrivetError('repository_not_found', { id: repository });
    const { result, detail } = compare(answer, before, after);
    return { node, state: replica.state, result, detail, packs: answer.packs, bytes: answer.bytes, tookMs: answer.tookMs };
  }
}

/**
 * What a node's answer says beside what SQL held before and after it was asked. A node between the two is on its way;
 * at one of them it must have its digest.
 */
export function compare(answer: VerifyAnswer, before: Route, after: Route): { result: 'equal' | LostState; detail: string } {
  const problem = (kind: string) => answer.problems.filter((each) => each.kind === kind).map((each) => each.detail).join('; ');
  if (problem('corrupt') !== '') return { result: 'corrupt', detail: problem('corrupt') };
  if (problem('missing') !== '') return { result: 'missing', detail: problem('missing') };
  if (problem('diverged') !== '') return { result: 'diverged', detail: problem('diverged') };
  if (answer.diskDigest !== answer.digest) {
    return { result: 'diverged', detail: `the refs on the disk are not those the node serves (${answer.diskDigest ?? 'unreadable'})` };
  }
  const { generation } = answer;
  if (generation < before.repository.generation) {
    return { result: 'outdated', detail: `holds generation ${generation}, SQL has recorded ${before.repository.generation}` };
  }
  if (generation > after.repository.generation) {
    return { result: 'diverged', detail: `holds generation ${generation}, which is ahead of SQL's ${after.repository.generation}` };
  }
  const same = [before, after].find(({ repository }) => repository.generation === generation);
  if (same !== undefined && same.repository.digest !== answer.digest) {
    return { result: 'diverged', detail: `has other refs at generation ${generation} than SQL has recorded` };
  }
  return { result: 'equal', detail: '' };
}

function nothing(replica: Replica, result: VerificationResult['result'], detail: string): VerificationResult {
  return { node: replica.node, state: replica.state, result, detail, packs: 0, bytes: 0, tookMs: 0 };
}

function describe(error: unknown): string {
  const { code, message } = asTrivetError(error) as { code: ErrorCode; message: string };
  return `${message} (${code})`;
}
