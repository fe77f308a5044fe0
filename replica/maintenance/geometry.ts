/** A pack, by what matters for combining it with others. */
export interface Weight {
  name: string;
  objects: number;
}

/** Each pack that stays has at least so many times the objects of all smaller ones together, or of the next smaller one. */
const FACTOR = 2;

/**
 * Which packs to make one of, so that the sizes of those that are left rise geometrically: then there are few (a logarithm
 * of the number of objects), and an object is copied few times in its life (the same logarithm), whatever the size of the
 * store. The rule of `git repack --geometric` (git-repack(1)).
 * @returns names; none when the packs are so already
 */
export function packsToCombine(packs: readonly Weight[]): string[] {
  const sorted = [...packs].sort((a, b) => a.objects - b.objects || (a.name < b.name ? -1 : 1));
  const weight = (i: number) => sorted[i]!.objects;
  let split = sorted.length - 1;
  while (split > 0 && weight(split) >= FACTOR * weight(split - 1)) split -= 1;
  if (split <= 0) return [];
  // The larger of the two that broke the progression can't stay either.
  split += 1;
  let total = sorted.slice(0, split).reduce((sum, pack) => sum + pack.objects, 0);
  while (split < sorted.length && weight(split) < FACTOR * total) {
    total += weight(split);
    split += 1;
  }
  return sorted.slice(0, split).map((pack) => pack.name);
}
