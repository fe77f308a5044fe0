import Type, { type Static } from 'typebox';

/** Every answer that isn't a success: docs/errors.md. */
export const ErrorAnswer = Type.Object({
  code: Type.String(),
  message: Type.String(),
  /** Whether the same request may succeed later. */
  retry: Type.Boolean(),
  fields: Type.Record(Type.String(), Type.Unknown()),
});
export type ErrorAnswer = Static<typeof ErrorAnswer>;
