/** How many equal answers decide: a majority of the replicas a repository is configured to have. */
export function quorumOf(configured: number): number {
  return Math.floor(configured / 2) + 1;
}

/** What answers so far amount to. */
export type Tally =
  | { state: 'pending' }
  /** `winners` gave the answer that a quorum gave; `others` gave a different one. */
  | { state: 'won'; answer: string; winners: string[]; others: string[] }
  /** No answer can reach a quorum any more. */
  | { state: 'lost' };

/**
 * Counts equal answers against a quorum of the *configured* replicas, never of those that happen to be up: two halves
 * of a cluster that can't see each other must not both find a majority.
 * @param configured replicas the repository is configured to have
 * @param answers what each node answered, as a text that is equal exactly when the answers are
 * @param outstanding how many nodes may still answer
 */
export function tally(configured: number, answers: ReadonlyMap<string, string>, outstanding: number): Tally {
  const quorum = quorumOf(configured);
  const nodesByAnswer = new Map<string, string[]>();
  for (const [node, answer] of answers) nodesByAnswer.set(answer, [...nodesByAnswer.get(answer) ?? [], node]);
  let most = 0;
  for (const [answer, nodes] of nodesByAnswer) {
    most = Math.max(most, nodes.length);
    if (nodes.length >= quorum) {
      return { state: 'won', answer, winners: nodes, others: [...answers.keys()].filter((node) => !nodes.includes(node)) };
    }
  }
  return most + outstanding >= quorum ? { state: 'pending' } : { state: 'lost' };
}
