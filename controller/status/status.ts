import type { ClusterCondition } from '../metrics.ts';
import type { NodeView } from '../nodes/states.ts';
import { describeControllers } from '../presence.ts';
import type { AtRiskItem } from '../repair/at-risk.ts';
import type { ClusterStatus } from '../rest/cluster.ts';
import type { JobAnswer } from '../rest/repair-job.ts';
import type { NodeAnswer } from '../rest/node.ts';
import type { Risk } from '../store/at-risk.ts';
import type { ControllerRecord } from '../store/controllers.ts';
import type { JobFilter } from '../store/jobs.ts';
import type { RepairJob } from '../store/rows.ts';
import type { VerificationKind } from '../store/verifications.ts';
import type { TransactionView } from '../transaction/transactions.ts';
import { judge } from './problems.ts';
import { sparingly } from './sparingly.ts';

/** Repositories and jobs that one screen shows. */
const FIRST = 10;
/** A promise held for longer than any phase of a push that goes well is in doubt. */
const IN_DOUBT_MS = 5_000;
const MAX_IN_DOUBT = 1_000;

/** Whom the status asks. */
export interface StatusParts {
  identity: { cluster: string; controller: string; version: string };
  intervals: { verifyMs: number; checkMs: number };
  repositories: { count(): Promise<number> };
  replicas: { count(): Promise<number>; countByState(total: number): Promise<ClusterCondition['replicas']> };
  atRisk: { worst(limit: number): Promise<{ byKind: Record<Risk, number>; items: AtRiskItem[] }> };
  nodes: { list(): Promise<NodeView[]> };
  controllers: { list(): Promise<ControllerRecord[]> };
  jobs: { page(filter: JobFilter): Promise<RepairJob[]>; countOpen(): Promise<{ state: string; count: number }[]> };
  findings: { countOpen(): Promise<ClusterCondition['findings']> };
  verifications: { oldest(kind: VerificationKind): Promise<Date | undefined> };
  transactions: { page(filter: { outcome: 'in_doubt'; limit: number }): Promise<TransactionView[]> };
  describeNode(view: NodeView): NodeAnswer;
  describeJob(job: RepairJob): JobAnswer;
}

/** The whole cluster at one glance. */
export class Status {
  readonly #parts: StatusParts;
  /** What grows with the number of repositories, or goes to every node. */
  readonly #slow: { repositories(): Promise<number>; replicas(): Promise<number>; nodes(): Promise<NodeView[]>; inDoubt(): Promise<number> };
  /** Throws `store_unavailable`. */
  readonly get: () => Promise<ClusterStatus>;

  constructor(parts: StatusParts) {
    this.#parts = parts;
    this.#slow = {
      repositories: sparingly(() => parts.repositories.count()),
      replicas: sparingly(() => parts.replicas.count()),
      nodes: sparingly(() => parts.nodes.list()),
      inDoubt: sparingly(async () => (await parts.transactions.page({ outcome: 'in_doubt', limit: MAX_IN_DOUBT }))
        .filter(({ promises }) => promises.some(({ ageMs }) => ageMs > IN_DOUBT_MS)).length),
    };
    this.get = sparingly(() => this.#ask());
  }

  async #ask(): Promise<ClusterStatus> {
    const { identity, intervals, atRisk, controllers, jobs, findings, verifications, describeJob, describeNode } = this.#parts;
    const risk = await atRisk.worst(FIRST);
    const open = await jobs.countOpen();
    const running = await jobs.page({ state: 'running', limit: FIRST });
    const waiting = running.length < FIRST ? await jobs.page({ state: 'waiting', limit: FIRST - running.length }) : [];
    const seen = describeControllers(await controllers.list());
    const facts = {
      at: new Date().toISOString(),
      ...identity,
      repositories: await this.#slow.repositories(),
      replicas: await this.#parts.replicas.countByState(await this.#slow.replicas()),
      atRisk: {
        total: Object.values(risk.byKind).reduce((sum, count) => sum + count, 0),
        byKind: risk.byKind,
        first: risk.items.map(({ repository, kind, current, configured, since, jobs: repairs }) => ({
          repository, kind, current, configured, since: since.toISOString(), repairing: repairs.length > 0,
        })),
      },
      nodes: (await this.#slow.nodes()).map(describeNode),
      controllers: seen.map(({ id, version, alive, differences }) => ({ name: id, version, running: alive, differs: differences.length > 0 })),
      repairs: { waiting: countOf(open, 'waiting'), running: countOf(open, 'running'), first: [...running, ...waiting].map(describeJob) },
      findings: await findings.countOpen(),
      verification: {
        oldestVerifiedAt: (await verifications.oldest('verify'))?.toISOString() ?? null,
        oldestCheckedAt: (await verifications.oldest('check'))?.toISOString() ?? null,
      },
      transactionsInDoubt: await this.#slow.inDoubt(),
      rates: {
        pushesPerSecond: sum(seen.map(({ alive, pushesPerSecond }) => (alive ? pushesPerSecond : 0))),
        readsPerSecond: sum(seen.map(({ alive, readsPerSecond }) => (alive ? readsPerSecond : 0))),
      },
    };
    return { ...facts, ...judge(facts, intervals) };
  }
}

function countOf(open: readonly { state: string; count: number }[], state: string): number {
  return sum(open.filter((each) => each.state === state).map(({ count }) => count));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
