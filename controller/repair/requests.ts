import { TrivetError } from '@trivet/proto/errors.ts';
import type { RepairJobs } from '../store/jobs.ts';
import type { Repositories } from '../store/repositories.ts';
import type { RepairJob, Replica } from '../store/rows.ts';
import type { Verification } from './verification.ts';

/** Repairs that an operator asks for. */
export class RepairRequests {
  readonly #repositories: Repositories;
  readonly #jobs: RepairJobs;
  readonly #verification: Verification;
  readonly #onOpened: () => void;

  constructor(input: {
    repositories: Repositories; jobs: RepairJobs; verification: Verification; onOpened(): void;
  }) {
    this.#repositories = input.repositories;
    this.#jobs = input.jobs;
    this.#verification = input.verification;
    this.#onOpened = input.onOpened;
  }

  /**
   * Opens a job, or makes the open one due now, for every replica that isn't current.
   * @param node only this one; when it is current, it is verified in full first, and has a job if that finds something
   * @returns the open jobs
   * @throws TrivetError repository_not_found; source_unsuitable when the node holds no replica
   */
  async request(name: string, node: string | undefined): Promise<RepairJob[]> {
    const route = await this.#repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    const { id } = route.repository;
    const asked = route.replicas.filter((replica) => node === undefined || replica.node === node);
    if (asked.length === 0) throw new TrivetError('bad_request', { problem: 'the node holds no replica of this repository', node });
    if (node !== undefined && asked[0]!.state === 'current') await this.#verification.verifyReplica(name, node);
    for (const replica of asked.filter(({ state }) => state !== 'current')) await this.#open(id, replica);
    // Before anybody is told: a small repair may end in the meantime.
    const open = await this.#jobs.openOf([id]);
    this.#onOpened();
    return open.filter((job) => node === undefined || job.node === node);
  }

  async #open(repository: string, { node, state, reason }: Replica): Promise<void> {
    const open = (await this.#jobs.openOf([repository])).find((job) => job.node === node);
    if (open?.state === 'running') return;
    if (open !== undefined) await this.#jobs.retry(open.id);
    else await this.#jobs.ensure(repository, node, state === 'current' || state === 'repairing' ? 'outdated' : state, reason ?? 'asked for');
  }
}
