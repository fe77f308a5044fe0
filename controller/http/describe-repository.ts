import type { RepositoryAnswer } from '../rest/repository.ts';
import type { Route } from '../store/rows.ts';

/**
 * A repository as REST shows it.
 * @param expiresAt when it will be gone, of one in the trash
 */
export function describeRepository({ repository, replicas }: Route, expiresAt?: Date): RepositoryAnswer {
  return {
    id: repository.id,
    name: repository.trashed?.name ?? repository.name,
    state: repository.state,
    generation: repository.generation,
    digest: repository.digest,
    defaultBranch: repository.defaultBranch.replace(/^refs\/heads\//, ''),
    objectFormat: repository.objectFormat,
    replicationFactor: repository.replicationFactor,
    intendedFactor: repository.intendedFactor,
    ...repository.policy,
    createdAt: repository.createdAt.toISOString(),
    trashedAt: repository.trashed?.at.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
    replicas: replicas.map(({ node, state, generation, digest, reason }) => ({ node, state, generation, digest, reason })),
  };
}
