import { TrivetError } from '@trivet/proto/errors.ts';

/**
 * What a client may be told when `git index-pack` refuses its pack: one line, the same on every node and for every
 * version of git as far as that can be, and nothing of this machine in it.
 */
const REASONS: readonly (readonly [RegExp, string | ((match: RegExpExecArray) => string)])[] = [
  [/exceeds maximum allowed size/, 'pack exceeds maximum allowed size'],
  [/early EOF/, 'the pack is truncated'],
  [/pack signature mismatch|pack version \d+ unsupported/, 'not a pack this server can read'],
  [/pack is corrupted/, 'the pack\'s checksum is wrong'],
  // git asks for memory for as many objects as the header announces.
  [/out of memory/i, 'the pack needs more memory than there is'],
  [/COLLISION/i, 'hash collision found'],
  [/^error: object ([0-9a-f]+): (\w+): /m, (match) => `object ${match[1]}: ${match[2]}`],
  [/did not receive expected object ([0-9a-f]+)/, (match) => `missing object ${match[1]}`],
  [/object ([0-9a-f]+): expected type (\w+), found (\w+)/,
    (match) => `object ${match[1]}: a ${match[3]}, not a ${match[2]}`],
  [/appears twice in the pack/, 'an object is in the pack twice'],
  [/unresolved delta/, 'the pack has deltas without a base'],
  [/failed to apply delta|delta base offset|serious inflate|inflate returned|bad object|unknown object type/,
    'the pack has a damaged object'],
  [/not all child objects|invalid object|bogus|bad (tree|parent)|type mismatch|is a \w+, not a \w+|fsck error/i,
    'the pack has a malformed object'],
];

/** Faults of the machine, which say nothing of the pack: another node may well take it. */
const NOT_THE_PACKS_FAULT = new RegExp([
  'No space left', 'Input/output error', 'Read-only file system', 'Permission denied', 'Disk quota',
  'unable to (?:create|open|write|rename|link|fsync|get)', 'not a git repository',
].join('|'));

/**
 * The reason for a failed `git index-pack`.
 * @throws TrivetError `disk_failure` when the machine failed, not the pack
 */
export function reasonOf(stderr: string): string {
  if (NOT_THE_PACKS_FAULT.test(stderr)) throw new TrivetError('disk_failure', { stderr });
  for (const [pattern, reason] of REASONS) {
    const match = pattern.exec(stderr);
    if (match !== null) return typeof reason === 'string' ? reason : reason(match);
  }
  return 'git index-pack refused the pack';
}
