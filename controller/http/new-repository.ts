import Type, { type Static } from 'typebox';
import type { NewRepository } from '../repositories/creation.ts';
import { branchRef } from './named-repository.ts';

/** What can be said of a new repository besides its name. */
export const NEW_REPOSITORY = {
  /** A branch, with or without `refs/heads/`. */
  defaultBranch: Type.Optional(Type.String({ minLength: 1, maxLength: 250 })),
  objectFormat: Type.Optional(Type.Union([Type.Literal('sha1'), Type.Literal('sha256')])),
  replicationFactor: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
  denyNonFastForwards: Type.Optional(Type.Boolean()),
  denyDeletes: Type.Optional(Type.Boolean()),
};
type Given = { [Key in keyof typeof NEW_REPOSITORY]?: Static<typeof NEW_REPOSITORY[Key]> };

/** With everything that wasn't given as it is otherwise. */
export function newRepository(name: string, given: Given, replicationFactor: number): NewRepository {
  return {
    name,
    defaultBranch: branchRef(given.defaultBranch ?? 'main'),
    objectFormat: given.objectFormat ?? 'sha1',
    replicationFactor: given.replicationFactor ?? replicationFactor,
    policy: { denyNonFastForwards: given.denyNonFastForwards ?? false, denyDeletes: given.denyDeletes ?? false },
  };
}
