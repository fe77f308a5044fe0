/**
 * The longest stretch within [from, to] in which nothing succeeded. It begins with the last success before `from`, since
 * whatever broke at `from` may hold up what came right after that one; a stretch that is still open at `to` counts.
 * @param successes times in any order, of the same clock as `from` and `to`
 * @returns in the unit of the times
 */
export function longestGap(successes: readonly number[], from: number, to: number): number {
  const sorted = [...successes].sort((a, b) => a - b);
  const before = sorted.findLast((time) => time <= from) ?? from;
  const within = sorted.filter((time) => time > from && time <= to);
  let longest = 0;
  let last = before;
  for (const time of [...within, to]) {
    longest = Math.max(longest, time - last);
    last = time;
  }
  return longest;
}
