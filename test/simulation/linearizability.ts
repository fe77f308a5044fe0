import { OK, type Command, type Verdict } from '@trivet/proto/vote.ts';
import { ATOMIC_FAILED, CURRENT_BRANCH, INCORRECT_OLD_VALUE, planBatch } from '../../replica/refs/plan.ts';
import { RefTable } from '../../replica/refs/ref-table.ts';

/** What a client did to one repository, from its sending to its answer. */
export type Operation =
  | { kind: 'read'; from: number; to: number; digest: string; what: string }
  /** `verdicts` undefined: nobody knows whether it was applied; it may take effect at any later time, or never. */
  | { kind: 'push'; from: number; to: number; commands: readonly Command[]; atomic: boolean; verdicts: readonly Verdict[] | undefined; what: string };

/** Steps of a search at most. Histories here are short; one that needs more is reported as undecided. */
const MAX_STEPS = 200_000;

export type Linearizability = { result: 'linearizable' } | { result: 'undecided' } | { result: 'impossible'; longest: string[] };

/**
 * Whether there is an order of all operations, each taking effect at one moment between its sending and its answer, in
 * which every read shows what the pushes before it left, and every verdict is what the refs said at that moment.
 *
 * Wing and Gong's search with Lowe's memory: the first operation in the order is one that began before any other that
 * must come later had ended; then the same for the rest. A set of operations done and the state they led to is searched
 * once. (Wing & Gong, Testing and verifying concurrent objects, 1993; Lowe, Testing for linearizability, 2017.)
 *
 * The refs of a repository are one object: an atomic push moves several at one moment, and a read sees them all.
 */
export function checkLinearizable(operations: readonly Operation[], head: string): Linearizability {
  const sorted = [...operations].sort((a, b) => a.from - b.from);
  const states = new States(head);
  const seen = new Set<string>();
  let steps = 0;
  let longest: string[] = [];
  const done = new Array<boolean>(sorted.length).fill(false);
  const order: string[] = [];

  const search = (state: number): boolean | undefined => {
    if (++steps > MAX_STEPS) return undefined;
    // Whoever began after the first end of what is left can't be next.
    let firstEnd = Infinity;
    let open = false;
    for (let i = 0; i < sorted.length; i++) {
      if (done[i]) continue;
      const { to } = sorted[i]!;
      if (isKnown(sorted[i]!)) open = true;
      if (to < firstEnd) firstEnd = to;
    }
    if (order.length > longest.length) longest = [...order];
    // Only pushes of unknown outcome are left: none of them need ever have happened.
    if (!open) return true;
    const key = `${state} ${done.map((each) => (each ? 1 : 0)).join('')}`;
    if (seen.has(key)) return false;
    seen.add(key);
    for (let i = 0; i < sorted.length; i++) {
      const operation = sorted[i]!;
      if (operation.from > firstEnd) break;
      if (done[i]) continue;
      const next = states.apply(state, operation);
      if (next === undefined) continue;
      done[i] = true;
      order.push(operation.what);
      const found = search(next);
      if (found !== false) return found;
      order.pop();
      done[i] = false;
    }
    return false;
  };

  const found = search(0);
  if (found === undefined) return { result: 'undecided' };
  return found ? { result: 'linearizable' } : { result: 'impossible', longest };
}

function isKnown(operation: Operation): boolean {
  return operation.kind === 'read' || operation.verdicts !== undefined;
}

/** States of a repository's refs by number, and what operations do to them. */
class States {
  readonly #tables: RefTable[];
  readonly #numbers = new Map<string, number>();
  readonly #effects = new Map<string, number | undefined>();

  constructor(head: string) {
    const empty = new RefTable(head, new Map());
    this.#tables = [empty];
    this.#numbers.set(empty.digest, 0);
  }

  /** @returns the state after the operation; undefined when it can't have happened in this one */
  apply(state: number, operation: Operation): number | undefined {
    const table = this.#tables[state]!;
    if (operation.kind === 'read') return table.digest === operation.digest ? state : undefined;
    const key = `${state} ${operation.what}`;
    if (this.#effects.has(key)) return this.#effects.get(key);
    const next = this.#push(table, state, operation);
    this.#effects.set(key, next);
    return next;
  }

  #push(table: RefTable, state: number, { commands, atomic, verdicts }: Operation & { kind: 'push' }): number | undefined {
    // What a vote said doesn't depend on refs; it is given, as it is to the nodes.
    const voted = commands.map((_, i) => (verdicts === undefined || dependsOnRefs(verdicts[i]!) ? OK : verdicts[i]!));
    const plan = planBatch(table, [{ commands, atomic, verdicts: voted }]);
    if (verdicts !== undefined && plan.verdicts[0]!.some((verdict, i) => verdict !== verdicts[i])) return undefined;
    if (plan.change.updates.length === 0) return state;
    const digest = table.digestAfter(plan.change);
    let number = this.#numbers.get(digest);
    if (number === undefined) {
      const after = new RefTable(table.head, new Map(table.entries()));
      after.install(plan.change, digest);
      number = this.#tables.length;
      this.#tables.push(after);
      this.#numbers.set(digest, number);
    }
    return number;
  }
}

function dependsOnRefs(verdict: Verdict): boolean {
  return verdict === OK || verdict === INCORRECT_OLD_VALUE || verdict === CURRENT_BRANCH || verdict === ATOMIC_FAILED
    || verdict.startsWith('directory/file conflict');
}
