import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import type { ControllerContext } from '../context.ts';
import type { AskedReplica } from '../maintenance/requests.ts';
import type { AtRiskAnswer } from '../repair/at-risk.ts';
import type { DataLossPlan, DataLossRequest } from '../repair/data-loss.ts';
import type { VerificationResult } from '../repair/verification.ts';
import type { ClusterStatus } from '../rest/cluster.ts';
import { facts } from '../status/facts-under-test.ts';
import type { DataLossRecord, Finding, RepairJob, Route } from '../store/rows.ts';
import type { TransactionView } from '../transaction/transactions.ts';
import { makeServer } from './server.ts';

// Test support: the real HTTP service over parts that live in memory, and do what a test tells them.

export const DIGEST = 'd'.repeat(64);
const NOTHING_AT_RISK: AtRiskAnswer = { total: 0, byKind: { under_replicated: 0, no_quorum: 0, unavailable: 0 }, items: [] };

/** What the parts hold, and what they were asked. */
export class FakeParts {
  /** Every call of a part, with what it was given. */
  readonly calls: [name: string, ...given: unknown[]][] = [];
  repositories: string[] = ['org/repo'];
  jobs: RepairJob[] = [];
  findings: Finding[] = [];
  transactions: TransactionView[] = [];
  losses: DataLossRecord[] = [];
  status: ClusterStatus = { ...facts(), verdict: 'ok', problems: [] };
  atRisk: AtRiskAnswer = NOTHING_AT_RISK;
  /** Jobs that a request for repair answers with. */
  requested: RepairJob[] = [];
  /** What nodes say that are asked for maintenance. */
  asked: AskedReplica[] = ['node1', 'node2', 'node3'].map((node) => ({ node, asked: true, code: null }));
  /** What every look at a job does first: how a test lets time pass. */
  onJob: (job: RepairJob) => void = () => {};
  verify: (name: string, full: boolean) => Promise<VerificationResult[]> = async () => [equal('node1'), equal('node2'), equal('node3')];
  accept: (request: DataLossRequest) => Promise<DataLossPlan> = async (request) => planOf(request);

  job(id: string): RepairJob {
    const job = this.jobs.find((candidate) => candidate.id === id);
    if (job === undefined) throw new TrivetError('job_not_found', { job: id });
    return job;
  }

  context(): ControllerContext {
    const note = (name: string, ...given: unknown[]) => { this.calls.push([name, ...given]); };
    const page = <Row extends { id: string }>(rows: readonly Row[], { after, limit }: { after?: string; limit: number }): Row[] => (
      rows.filter((row) => after === undefined || row.id < after).sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, limit));
    const known = (name: string) => {
      if (!this.repositories.includes(name)) throw new TrivetError('repository_not_found', { repository: name });
    };
    const parts = {
      config: { token: 'token-of-the-cluster', deadlines: { headersMs: 10_000, bodyIdleMs: 10_000 } },
      log: pino({ level: 'silent' }),
      repositories: {
        route: async (name: string) => (this.repositories.includes(name) ? routeOf(name) : undefined),
        list: async ({ after = '', limit }: { after?: string; limit: number }) => (
          [...this.repositories].sort().filter((name) => name > after).slice(0, limit).map(routeOf)),
      },
      jobs: {
        page: async (filter: { state?: string; repository?: string; node?: string; after?: string; limit: number }) => {
          note('jobs.page', filter);
          for (const job of this.jobs) this.onJob(job);
          return page(this.jobs.filter((job) => matches(job, filter)), filter);
        },
        get: async (id: string) => {
          const job = this.jobs.find((candidate) => candidate.id === id);
          if (job !== undefined) this.onJob(job);
          return job;
        },
        cancel: async (id: string) => this.#end(id, 'cancelled'),
        retry: async (id: string) => {
          note('jobs.retry', id);
          return Object.assign(this.job(id), { attempt: 0 });
        },
      },
      repairs: {
        request: async (name: string, node: string | undefined) => {
          note('repairs.request', name, node);
          known(name);
          return this.requested;
        },
      },
      maintenance: {
        request: async (name: string, node: string | undefined) => {
          note('maintenance.request', name, node);
          known(name);
          return this.asked.filter((replica) => node === undefined || replica.node === node);
        },
      },
      verification: {
        verifyRepository: async (name: string, full: boolean) => {
          note('verifyRepository', name, full);
          known(name);
          return this.verify(name, full);
        },
      },
      findings: {
        page: async (filter: { open?: boolean; after?: string; limit: number }) => {
          note('findings.page', filter);
          return page(this.findings.filter((finding) => filter.open === undefined || (finding.resolvedAt === null) === filter.open), filter);
        },
      },
      atRisk: {
        list: async (filter: object) => {
          note('atRisk.list', filter);
          return this.atRisk;
        },
      },
      transactions: {
        page: async (filter: { outcome?: string; after?: string; limit: number }) => {
          note('transactions.page', filter);
          return page(this.transactions.filter((each) => filter.outcome === undefined || each.outcome === filter.outcome), filter);
        },
        get: async (id: string) => this.transactions.find((each) => each.id === id),
        settle: async (id: string) => {
          note('transactions.settle', id);
          const transaction = this.transactions.find((each) => each.id === id);
          if (transaction === undefined) throw new TrivetError('transaction_not_found', { transaction: id });
          return transaction;
        },
      },
      dataLoss: {
        accept: async (request: DataLossRequest) => {
          note('dataLoss.accept', request);
          known(request.repository);
          return this.accept(request);
        },
      },
      status: { get: async () => this.status },
      dataLosses: { page: async (filter: { after?: string; limit: number }) => page(this.losses, filter) },
    };
    return parts as unknown as ControllerContext;
  }

  #end(id: string, state: 'done' | 'cancelled'): RepairJob {
    const job = this.job(id);
    if (job.state === 'done' || job.state === 'cancelled') throw new TrivetError('job_finished', { job: id, state: job.state });
    return Object.assign(job, { state, finishedAt: new Date() });
  }
}

/** The service on a port of its own. */
export async function serve(parts: FakeParts): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const app = makeServer(parts.context());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

let made = 0;

/** An id that is newer than the last one made here. */
export function nextId(): string {
  made++;
  return newId(1_700_000_000_000 + made);
}

export function idOf(repository: string): string {
  return Buffer.from(repository).toString('hex').padEnd(32, '0').slice(0, 32);
}

export function makeJob(values: Partial<RepairJob> = {}): RepairJob {
  return {
    id: nextId(), repository: idOf('org/repo'), repositoryName: 'org/repo', node: 'node2', reason: 'outdated', detail: 'missed a commit',
    state: 'waiting', attempt: 0, fence: 0, holder: null, leaseUntil: null, nextAttemptAt: new Date(), source: null, way: null, round: 0,
    objects: 0, totalObjects: null, bytes: 0, totalBytes: null, lastError: null, createdAt: new Date(), startedAt: null, finishedAt: null,
    ...values,
  };
}

export function equal(node: string): VerificationResult {
  return { node, state: 'current', result: 'equal', detail: '', packs: 3, bytes: 123_456, tookMs: 12.3 };
}

export function planOf(request: DataLossRequest): DataLossPlan {
  return {
    ...request, id: request.dryRun ? null : nextId(), repositoryId: idOf(request.repository),
    before: { generation: 45, digest: 'b'.repeat(64) }, after: { generation: 46, digest: DIGEST }, lost: { generations: 4 },
    replicas: [
      { node: 'node1', generation: 45, digest: 'b'.repeat(64), becomes: 'diverged' },
      { node: request.source, generation: 41, digest: DIGEST, becomes: 'current' },
    ],
    acceptedAt: request.dryRun ? null : new Date(),
  };
}

function routeOf(name: string): Route {
  return {
    repository: {
      id: idOf(name), name, state: 'ready', objectFormat: 'sha1', defaultBranch: 'refs/heads/main', replicationFactor: 3, intendedFactor: null, generation: 45, digest: DIGEST,
      policy: { denyDeletes: false, denyNonFastForwards: false }, createdAt: new Date(), trashed: null,
    },
    replicas: [],
  };
}

function matches(job: RepairJob, { state, repository, node }: { state?: string; repository?: string; node?: string }): boolean {
  const open = job.state === 'waiting' || job.state === 'running';
  return (state === undefined || (state === 'open' ? open : job.state === state))
    && (repository === undefined || job.repository === repository) && (node === undefined || job.node === node);
}
