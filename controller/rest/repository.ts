import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { Count, OrNull, REPLICA_STATES, Time } from './parts.ts';

export const REPOSITORY_STATES = ['ready', 'importing', 'trashed'] as const;

export const RepositoryAnswer = Type.Object({
  id: Type.String(),
  /** In the trash, the name it had. */
  name: Type.String(),
  /** `importing`: being filled from elsewhere; `trashed`: it can be restored. In both, git is refused. */
  state: Type.Enum([...REPOSITORY_STATES]),
  generation: Count,
  digest: Type.String(),
  /** Without `refs/heads/`. */
  defaultBranch: Type.String(),
  objectFormat: Type.Enum(['sha1', 'sha256']),
  replicationFactor: Count,
  /** What the replication factor shall become, as soon as so many replicas are current; null when it is what it shall be. */
  intendedFactor: OrNull(Count),
  denyNonFastForwards: Type.Boolean(),
  denyDeletes: Type.Boolean(),
  createdAt: Time,
  /** Since when it has been in the trash, and when it will be gone; null elsewhere. */
  trashedAt: OrNull(Time),
  expiresAt: OrNull(Time),
  replicas: Type.Array(Type.Object({
    node: Type.String(), state: Type.Enum([...REPLICA_STATES]), generation: Count, digest: Type.String(), reason: OrNull(Type.String()),
  })),
});
export type RepositoryAnswer = Static<typeof RepositoryAnswer>;

export const RepositoryPage = Page(RepositoryAnswer);
export type RepositoryPage = Static<typeof RepositoryPage>;
