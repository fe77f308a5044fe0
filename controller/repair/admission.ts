import type { ReportRequest } from '@trivet/proto/messages.ts';
import type { Replicas } from '../store/replicas.ts';

/**
 * Compares what a restarted node says it has with what SQL recorded. A replica that doesn't match is not current,
 * whatever it says; one that does match keeps its state.
 */
export class Admission {
  readonly #replicas: Replicas;

  constructor(replicas: Replicas) {
    this.#replicas = replicas;
  }

  async compare(node: string, reported: ReportRequest['replicas']): Promise<void> {
    const positions = new Map(reported.map((replica) => [replica.repository, replica]));
    for (const recorded of await this.#replicas.ofNode(node)) {
      if (recorded.state !== 'current') continue;
      const position = positions.get(recorded.repository);
      if (position === undefined) {
        await this.#replicas.mark(recorded.repository, [node], 'missing', 'the node came back without it');
      } else if (position.generation < recorded.repositoryGeneration) {
        await this.#replicas.mark(recorded.repository, [node], 'outdated', `came back at generation ${position.generation}`);
      } else if (position.generation === recorded.repositoryGeneration && position.digest !== recorded.repositoryDigest) {
        await this.#replicas.mark(recorded.repository, [node], 'diverged', 'came back with other refs');
      }
      // Ahead of what was read here: a decision was made meanwhile, with this node's promise.
    }
  }
}
