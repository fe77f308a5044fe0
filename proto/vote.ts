import { createHash } from 'node:crypto';

/** One ref update of a push. `old` or `new` is the zero id for a creation or a deletion. */
export interface Command {
  ref: string;
  old: string;
  new: string;
}

/** `ok`, or the reason why a ref can't move, as git shows it after `[remote rejected]`. */
export type Verdict = string;

export const OK: Verdict = 'ok';

/**
 * The vote: SHA-256 over the transaction id, the sorted commands and the verdict for each.
 * @param verdicts in the order of `commands`; behind them the one on `head`
 * @param head what HEAD shall point at, in a transaction that changes it
 * @returns 64 hexadecimal digits, equal on two nodes exactly when they would do the same
 */
export function voteDigest(transaction: string, commands: readonly Command[], verdicts: readonly Verdict[], head?: string): string {
  const lines = commands.map((command, i) => `${command.ref}\0${command.old}\0${command.new}\0${verdicts[i] ?? ''}\n`);
  if (head !== undefined) lines.push(`HEAD\0ref: ${head}\0${verdicts[commands.length] ?? ''}\n`);
  const hash = createHash('sha256').update(`${transaction}\n`);
  for (const line of lines.sort()) hash.update(line);
  return hash.digest('hex');
}
