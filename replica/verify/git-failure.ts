import type { TrivetError } from '@trivet/proto/errors.ts';

/** git's exit status when it gives up: because of what it found, or because of what it lacks. */
const DIED = 128;

/**
 * What keeps git from working on a repository that may well be sound. A file that the disk can't read is not among it: that
 * is what is looked for.
 */
const NOT_THE_REPOSITORY = /out of memory|cannot allocate|No space left|Too many open files|Permission denied|dubious ownership|Resource temporarily unavailable|unable to (create|start) /i;

/** Whether a git that failed (`git_failed`) says something about the repository, and not about the machine. */
export function isFinding(fault: TrivetError): boolean {
  const { code, stderr } = fault.fields;
  return fault.code === 'git_failed' && code === DIED && !NOT_THE_REPOSITORY.test(String(stderr));
}
