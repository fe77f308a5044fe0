import type { Value } from '../history/history.ts';

/** One operation on one ref. `end` is infinite when it may still happen after its client has gone. */
export type RegisterOperation =
  | { kind: 'read'; begin: number; end: number; value: Value; label?: string }
  /** Compare-and-set; `certain` when it was acknowledged. One that isn't may have happened or not. */
  | { kind: 'set'; begin: number; end: number; old: Value; new: Value; certain: boolean; label?: string };

export interface RegisterFault {
  /** The first operation that can't be explained, whatever the order. */
  operation: RegisterOperation;
  /** What the ref may have been at the moment when it ended. */
  possible: Value[];
}

/** One way in which everything up to now can have happened. */
interface World {
  value: Value;
  /** Operations under way that have taken effect. */
  done: ReadonlySet<number>;
}

/** Worlds followed at once; a ref whose history allows more can't be judged. */
const MAX_WORLDS = 20_000;

/**
 * Whether operations on a ref can be put in one order, each between its beginning and its end, in which every read gives
 * what the set before it wrote and every set found its old value: linearizability of a compare-and-set register, exact.
 *
 * Goes through beginnings and ends in the order of time and keeps all worlds that are possible. An operation that ends must
 * have taken effect in a world, else the world goes; when no world is left, the history has no order. A read changes
 * nothing, so it takes effect as soon as its value is there, which leaves only sets to branch on.
 * @param initial before anything began
 * @returns undefined when there is an order
 * @throws Error when there are too many worlds to follow
 */
export function checkRegister(operations: readonly RegisterOperation[], initial: Value = null): RegisterFault | undefined {
  const pending = new Set<number>();
  let worlds: World[] = [{ value: initial, done: new Set() }];
  for (const { index, ends } of inOrderOfTime(operations)) {
    const operation = operations[index]!;
    if (!ends) {
      pending.add(index);
      if (operation.kind === 'read') worlds = distinct(worlds.map((world) => (world.value === operation.value ? withDone(world, index) : world)));
      continue;
    }
    const reached = closure(operations, pending, worlds);
    const left = reached.filter((world) => world.done.has(index));
    if (left.length === 0) return { operation, possible: [...new Set(reached.map((world) => world.value))] };
    pending.delete(index);
    worlds = distinct(left.map((world) => withoutDone(world, index)));
    forget(operations, pending, worlds);
  }
  return undefined;
}

/** Beginnings before ends of the same moment: whoever overlaps by a hair may have come in either order. */
function inOrderOfTime(operations: readonly RegisterOperation[]): { index: number; ends: boolean; at: number }[] {
  const events = operations.flatMap((operation, index) => [
    { index, ends: false, at: operation.begin },
    ...(operation.end === Infinity ? [] : [{ index, ends: true, at: operation.end }]),
  ]);
  return events.sort((a, b) => a.at - b.at || Number(a.ends) - Number(b.ends));
}

/** The worlds, and all that can come of them by operations under way. */
function closure(operations: readonly RegisterOperation[], pending: ReadonlySet<number>, worlds: readonly World[]): World[] {
  const all = new Map(worlds.map((world) => [keyOf(world), world]));
  const queue = [...worlds];
  for (let world = queue.pop(); world !== undefined; world = queue.pop()) {
    for (const index of pending) {
      const operation = operations[index]!;
      if (operation.kind === 'read' || operation.old !== world.value || world.done.has(index)) continue;
      const done = new Set(world.done).add(index);
      for (const read of pending) {
        const other = operations[read]!;
        if (other.kind === 'read' && other.value === operation.new) done.add(read);
      }
      const next: World = { value: operation.new, done };
      const key = keyOf(next);
      if (all.has(key)) continue;
      if (all.size >= MAX_WORLDS) throw new Error('a ref has too many possible histories to be judged');
      all.set(key, next);
      queue.push(next);
    }
  }
  return [...all.values()];
}

/**
 * Sets of an unknown outcome never end, and would be looked at for ever. One goes when it has taken effect in every world,
 * or when its old value, a commit that is pushed once only, lies behind in all of them and nobody under way can bring it.
 */
function forget(operations: readonly RegisterOperation[], pending: Set<number>, worlds: World[]): void {
  const alive = new Set(worlds.map((world) => world.value));
  for (const index of pending) {
    const operation = operations[index]!;
    if (operation.kind === 'set' && !worlds.every((world) => world.done.has(index))) alive.add(operation.new);
  }
  for (const index of pending) {
    const operation = operations[index]!;
    if (operation.kind === 'read' || operation.certain) continue;
    const isOver = worlds.every((world) => world.done.has(index)) || (operation.old !== null && !alive.has(operation.old));
    if (!isOver) continue;
    pending.delete(index);
    for (const [i, world] of worlds.entries()) worlds[i] = withoutDone(world, index);
  }
}

function withDone(world: World, index: number): World {
  return { value: world.value, done: new Set(world.done).add(index) };
}

function withoutDone(world: World, index: number): World {
  if (!world.done.has(index)) return world;
  const done = new Set(world.done);
  done.delete(index);
  return { value: world.value, done };
}

function distinct(worlds: readonly World[]): World[] {
  return [...new Map(worlds.map((world) => [keyOf(world), world])).values()];
}

function keyOf(world: World): string {
  return `${world.value} ${[...world.done].sort((a, b) => a - b).join(',')}`;
}
