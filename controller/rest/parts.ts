import Type, { type TSchema } from 'typebox';

/** What a replica is for SQL. */
export const REPLICA_STATES = ['current', 'outdated', 'diverged', 'corrupt', 'missing', 'repairing'] as const;

/** ISO 8601, UTC, milliseconds. */
export const Time = Type.String();
export const Count = Type.Integer({ minimum: 0 });

export function OrNull<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}

/** Where a repository or a replica stands. */
export const Position = Type.Object({ generation: Count, digest: Type.String() });
