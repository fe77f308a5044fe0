import { TrivetError } from '@trivet/proto/errors.ts';
import type { ReportRequest } from '@trivet/proto/messages.ts';
import type { Findings } from '../store/findings.ts';
import type { Nodes } from '../store/nodes.ts';
import type { NodeReplica, Replicas } from '../store/replicas.ts';
import type { LostState } from '../store/rows.ts';

/** Told of every replica that came back as something else than SQL has recorded. */
export type OnFound = (repository: string, node: string, kind: LostState, detail: string) => void;

/**
 * Compares what a restarted node says it has with what SQL recorded. A replica that doesn't match is not current,
 * whatever it says; one that does match keeps its state.
 */
export class Admission {
  readonly #replicas: Replicas;
  readonly #findings: Findings;
  readonly #nodes: Pick<Nodes, 'isAtBoot'>;
  readonly #onFound: OnFound;

  constructor(replicas: Replicas, findings: Findings, nodes: Pick<Nodes, 'isAtBoot'>, onFound: OnFound) {
    this.#replicas = replicas;
    this.#findings = findings;
    this.#nodes = nodes;
    this.#onFound = onFound;
  }

  /** @throws TrivetError node_restarted for a report of a process that another one has come after: it says nothing of that */
  async compare(node: string, boot: string, reported: ReportRequest['replicas']): Promise<void> {
    if (!await this.#nodes.isAtBoot(node, boot)) throw new TrivetError('node_restarted', { node, boot });
    const positions = new Map(reported.map((replica) => [replica.repository, replica]));
    for (const recorded of await this.#replicas.ofNode(node)) {
      if (recorded.state !== 'current') continue;
      const difference = differenceOf(recorded, positions.get(recorded.repository));
      if (difference !== undefined) await this.#record(recorded.repository, node, ...difference);
    }
  }

  /** A node came up with the disk of another: nothing it has there is what SQL thinks, and nothing may be changed on it. */
  async wrongDirectory(node: string, owner: string): Promise<void> {
    const detail = `${node} came up with the directory of ${owner}`;
    for (const { repository, state } of await this.#replicas.ofNode(node)) {
      if (state !== 'missing') await this.#record(repository, node, 'missing', detail);
    }
  }

  async #record(repository: string, node: string, kind: LostState, detail: string): Promise<void> {
    if (await this.#findings.replica(repository, node, kind, detail)) this.#onFound(repository, node, kind, detail);
  }
}

function differenceOf(recorded: NodeReplica, position: { generation: number; digest: string } | undefined): [LostState, string] | undefined {
  if (position === undefined) return ['missing', 'the node came back without it'];
  const { repositoryGeneration, repositoryDigest } = recorded;
  if (position.generation < repositoryGeneration) {
    return ['outdated', `the node came back with generation ${position.generation}, SQL has recorded ${repositoryGeneration}`];
  }
  // SQL was read after the node had settled its promises: it can only have lost something.
  if (position.generation > repositoryGeneration) {
    return ['diverged', `the node came back with generation ${position.generation}, ahead of SQL's ${repositoryGeneration}`];
  }
  if (position.digest !== repositoryDigest) return ['diverged', 'the node came back with other refs'];
  return undefined;
}
