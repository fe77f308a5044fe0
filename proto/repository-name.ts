const MAX_NAME_LENGTH = 200;
const MAX_SEGMENT_LENGTH = 100;

/**
 * A repository name: one or more segments joined by `/`, 200 characters at most. A segment has 1 to 100 of
 * `A–Z a–z 0–9 . _ -`, begins with a letter, a digit or `_`, and doesn't end in `.`, `.git` or `.lock`.
 * No segment can be `..`, so a name is never a path out of anywhere; repositories are stored under ids anyway.
 */
export function isRepositoryName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && name.split('/').every(isSegment);
}

function isSegment(segment: string): boolean {
  return segment.length <= MAX_SEGMENT_LENGTH
    && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(segment)
    && !segment.includes('..')
    && !/(\.|\.git|\.lock)$/i.test(segment);
}
