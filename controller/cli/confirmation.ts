import type { Screen } from './terminal/screen.ts';

/** Whether `--yes` names what is to go; says what is missing when it doesn't. */
export function isConfirmed(screen: Screen, yes: string | undefined, name: string, what: string): boolean {
  if (yes === name) return true;
  screen.note(yes === undefined ? `error: ${what}. To do it, add --yes ${name}` : `error: --yes names ${yes}, not ${name}`);
  return false;
}
