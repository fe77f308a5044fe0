import { isZeroOid, type Oid } from '@trivet/proto/object-format.ts';
import { isBranch } from '@trivet/proto/ref-name.ts';
import { OK, type Command, type Verdict } from '@trivet/proto/vote.ts';
import type { RefChange } from './ref-change.ts';
import { RefOverlay } from './ref-overlay.ts';
import type { RefView } from './ref-view.ts';

export const INCORRECT_OLD_VALUE: Verdict = 'incorrect old value provided';
export const CURRENT_BRANCH: Verdict = 'deletion of the current branch prohibited';
export const NO_SUCH_BRANCH: Verdict = 'no such branch';
export const ATOMIC_FAILED: Verdict = 'atomic transaction failed';

/** A push that won its vote and now takes its turn. */
export interface PlannedTransaction {
  commands: readonly Command[];
  /** The branch that HEAD shall point at after them: one that is there, unless there are no branches at all. */
  head?: string;
  /** Either all commands take effect or none. */
  atomic: boolean;
  /** From the vote, in the order of the commands, then that on `head`; anything but `ok` is final. */
  verdicts: readonly Verdict[];
}

export interface Plan {
  /** For each transaction of the batch, the verdict for each of its commands, then that on its `head`. */
  verdicts: Verdict[][];
  /** What the whole batch does, one update for each ref that ends up different. */
  change: RefChange;
  /** How many transactions move at least one ref or HEAD, even when a later one moves it back. */
  generations: number;
}

/**
 * What a batch does to the refs, as a pure function: every replica with the same refs gets the same plan.
 *
 * Transactions take effect in their order and each sees the ones before it. Within one, deletions come first, so that
 * a push may replace `refs/heads/a` by `refs/heads/a/b` whatever the order of its commands (git receive-pack 2.39
 * refuses that when atomic, and when the creation is named first).
 *
 * Unlike git, the old value is always compared: git lets a client that names no old value delete any ref.
 *
 * @throws Error when a transaction hasn't as many verdicts as commands
 */
export function planBatch(refs: RefView, transactions: readonly PlannedTransaction[]): Plan {
  const overlay = new RefOverlay(refs);
  const verdicts: Verdict[][] = [];
  let { head } = refs;
  let generations = 0;
  for (const transaction of transactions) {
    const outcome = planTransaction(overlay, head, transaction);
    verdicts.push(outcome.verdicts);
    const next = outcome.head ?? headAfter(head, overlay, outcome.moved);
    if (outcome.moved.length > 0 || next !== head) generations++;
    head = next;
  }
  const updates = overlay.changes();
  const change = head === refs.head ? { updates } : { updates, head: { old: refs.head, new: head } };
  return { verdicts, change, generations };
}

/** A ref that a transaction moved, and where it was. */
interface Moved {
  ref: string;
  before: Oid | undefined;
}

function planTransaction(
  overlay: RefOverlay, head: string, { commands, head: wanted, atomic, verdicts: voted }: PlannedTransaction,
): { verdicts: Verdict[]; moved: readonly Moved[]; head?: string } {
  if (commands.length + Number(wanted !== undefined) !== voted.length) {
    throw new Error(`a transaction of ${commands.length} commands has ${voted.length} verdicts`);
  }
  const verdicts = [...voted];
  const moved: Moved[] = [];
  for (const i of deletionsFirst(commands)) {
    if (verdicts[i] !== OK) continue;
    const command = commands[i]!;
    const present = overlay.get(command.ref);
    verdicts[i] = verdictOn(command, present, overlay, head);
    if (verdicts[i] !== OK || valueOf(command.new) === present) continue;
    moved.push({ ref: command.ref, before: present });
    overlay.set(command.ref, valueOf(command.new));
  }
  const last = commands.length;
  if (wanted !== undefined && verdicts[last] === OK && !mayBeHead(wanted, overlay)) verdicts[last] = NO_SUCH_BRANCH;
  if (!atomic || verdicts.every((verdict) => verdict === OK)) {
    return { verdicts, moved, ...(wanted !== undefined && verdicts[last] === OK ? { head: wanted } : {}) };
  }
  for (const { ref, before } of moved.reverse()) overlay.set(ref, before);
  return { verdicts: verdicts.map((verdict) => (verdict === OK ? ATOMIC_FAILED : verdict)), moved: [] };
}

function verdictOn(command: Command, present: Oid | undefined, overlay: RefOverlay, head: string): Verdict {
  const [before, after] = [valueOf(command.old), valueOf(command.new)];
  if (before !== undefined && after === undefined && command.ref === head) return CURRENT_BRANCH;
  if (before !== present) return INCORRECT_OLD_VALUE;
  if (before !== undefined || after === undefined) return OK;
  const conflict = overlay.conflict(command.ref);
  return conflict === undefined ? OK : `directory/file conflict with '${conflict}'`;
}

function mayBeHead(branch: string, overlay: RefOverlay): boolean {
  return overlay.get(branch) !== undefined || !overlay.hasBelow('refs/heads');
}

/**
 * HEAD after one transaction that doesn't name it: an unborn one follows the first branches that come into being, one whose branch exists
 * stays. Decided for each transaction, so that a batch does what its transactions would have done one by one.
 */
function headAfter(head: string, overlay: RefOverlay, moved: readonly Moved[]): string {
  if (overlay.get(head) !== undefined) return head;
  const created = moved.filter(({ ref, before }) => before === undefined && isBranch(ref)).map(({ ref }) => ref);
  return ['refs/heads/main', 'refs/heads/master'].find((name) => created.includes(name)) ?? created[0] ?? head;
}

function deletionsFirst(commands: readonly Command[]): number[] {
  const indices = commands.map((_, i) => i);
  const deletes = (i: number) => isZeroOid(commands[i]!.new);
  return [...indices.filter(deletes), ...indices.filter((i) => !deletes(i))];
}

function valueOf(oid: Oid): Oid | undefined {
  return isZeroOid(oid) ? undefined : oid;
}
