import type { Policy } from '@trivet/proto/messages.ts';
import { isZeroOid, type Oid } from '@trivet/proto/object-format.ts';
import { isBranch, isHiddenRef, isRefName } from '@trivet/proto/ref-name.ts';
import { OK, type Command, type Verdict } from '@trivet/proto/vote.ts';
import type { ObjectType } from '../git/object-reader.ts';

/** What the rules below have to ask the object store. */
export interface ObjectFacts {
  /** The type of a new value, undefined when it isn't there. */
  typeOf(oid: Oid): ObjectType | undefined;
  /** Whether `ancestor` is reachable from `descendant` along parents. */
  isAncestor(ancestor: Oid, descendant: Oid): Promise<boolean>;
}

/**
 * The verdict on each command as far as it doesn't depend on where refs stand at the moment: the name, the object, the
 * repository's policy. Equal on every node that has taken in the same pack, whichever commits are in flight around it.
 * What does depend on the refs (old values, directory/file conflicts) is judged in prepare, inside the turn.
 */
export async function judgeCommands(
  commands: readonly Command[], policy: Policy, facts: ObjectFacts,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const command of commands) verdicts.push(await judge(command, policy, facts));
  return verdicts;
}

/** The verdict on a change of HEAD, as far as the refs don't matter. */
export function judgeHead(head: string): Verdict {
  return isRefName(head) && isBranch(head) ? OK : 'HEAD can only point at a branch';
}

async function judge(command: Command, policy: Policy, facts: ObjectFacts): Promise<Verdict> {
  if (isHiddenRef(command.ref)) return 'deny updating a hidden ref';
  // git-receive-pack refuses refs/x as well; refs/heads as a ref would keep every branch from coming into being.
  if (!isRefName(command.ref) || command.ref.split('/').length < 3) return 'funny refname';
  if (isZeroOid(command.new)) return policy.denyDeletes ? 'deletion prohibited' : OK;
  const type = facts.typeOf(command.new);
  if (type === undefined) return 'missing necessary objects';
  if (isBranch(command.ref) && type !== 'commit') return 'a branch can only point at a commit';
  if (policy.denyNonFastForwards && isBranch(command.ref) && !isZeroOid(command.old)
    && !await facts.isAncestor(command.old, command.new)) return 'non-fast-forward';
  return OK;
}
