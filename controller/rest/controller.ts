import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { OrNull, Time } from './parts.ts';

/** A controller that has been here within a day. */
export const ControllerAnswer = Type.Object({
  name: Type.String(),
  version: Type.String(),
  /** Host and process id. */
  process: Type.String(),
  /** Whether it was heard of lately. */
  running: Type.Boolean(),
  startedAt: Time,
  seenAt: Time,
  /** In which settings it isn't like the one that started last. */
  differences: Type.Array(Type.Object({ setting: Type.String(), value: OrNull(Type.Number()), newest: OrNull(Type.Number()) })),
});
export type ControllerAnswer = Static<typeof ControllerAnswer>;

export const ControllerPage = Page(ControllerAnswer);
export type ControllerPage = Static<typeof ControllerPage>;
