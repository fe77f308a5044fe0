import Type, { type Static } from 'typebox';
import { Count, OrNull, REPLICA_STATES, Time } from './parts.ts';

export const NODE_WISHES = ['active', 'draining', 'quiesced', 'removed'] as const;
/** `cordoned`: not well, or its disk takes nothing; back by itself. `drained`: draining, and nothing is left. */
export const NODE_STATES = [...NODE_WISHES, 'cordoned', 'drained'] as const;

/** One replica server. */
export const NodeAnswer = Type.Object({
  id: Type.String(),
  url: Type.String(),
  state: Type.Enum([...NODE_STATES]),
  /** What an operator wants of it. */
  wish: Type.Enum([...NODE_WISHES]),
  /** Why this controller can't use it: an error code. */
  trouble: OrNull(Type.String()),
  /** Empty: nobody said. */
  zone: Type.String(),
  version: Type.String(),
  gitVersion: Type.String(),
  joinedAt: OrNull(Time),
  stateChangedAt: OrNull(Time),
  /** When any controller last had a good heartbeat from it. */
  heardAt: OrNull(Time),
  diskTotalBytes: OrNull(Type.Number()),
  diskFreeBytes: OrNull(Type.Number()),
  loadAverage: OrNull(Type.Number()),
  /** By how much its clock is ahead of the controller's; nothing depends on it. */
  clockSkewMs: OrNull(Type.Number()),
  clockWrong: Type.Boolean(),
  /** How many replicas it has in each state. */
  replicas: Type.Record(Type.Enum([...REPLICA_STATES]), Count),
  /** New replicas that are being filled. */
  arriving: Count,
  /** Copies that are replicas no more and still to be deleted. */
  removals: Count,
});
export type NodeAnswer = Static<typeof NodeAnswer>;

export const NodeList = Type.Object({ items: Type.Array(NodeAnswer) });
export type NodeList = Static<typeof NodeList>;
