import Type, { type Static } from 'typebox';
import { OrNull } from './parts.ts';

/** Which nodes have been asked to maintain their replica of a repository. */
export const MaintenanceAsked = Type.Object({
  repository: Type.String(),
  replicas: Type.Array(Type.Object({
    node: Type.String(),
    asked: Type.Boolean(),
    /** Why not: an error code. */
    code: OrNull(Type.String()),
  })),
});
export type MaintenanceAsked = Static<typeof MaintenanceAsked>;
