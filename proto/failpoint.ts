import { readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A place where a test may make this process die, stop or wait. Off unless a directory is given, which configuration
 * accepts only under NODE_ENV=test. A test arms a failpoint by writing a file of its name into that directory; the
 * first process to pass takes the file away, so that it strikes once.
 *
 * What the file says: `kill` (SIGKILL to this process), `stop` (SIGSTOP), `delay <ms>`, `error <text>`, or
 * `hang`: stands still for ever, and is nothing for which a process would live on.
 */
export type Failpoint = (name: string) => Promise<void>;

/** @param directory undefined switches every failpoint off */
export function makeFailpoint(directory: string | undefined): Failpoint {
  if (directory === undefined) return async () => {};
  return async (name) => {
    const action = take(join(directory, name));
    if (action === undefined) return;
    const [verb = '', argument = ''] = action.split(/ (.*)/s);
    switch (verb) {
      case 'kill': process.kill(process.pid, 'SIGKILL'); await sleep(60_000); return;
      case 'stop': process.kill(process.pid, 'SIGSTOP'); return;
      case 'delay': await sleep(Number(argument)); return;
      case 'hang': await new Promise(() => {}); return;
      case 'error': throw new Error(argument || `failpoint ${name}`);
      default: throw new Error(`failpoint ${name}: unknown action "${action}"`);
    }
  };
}

function take(path: string): string | undefined {
  try {
    const action = readFileSync(path, 'utf8').trim();
    unlinkSync(path);
    return action;
  } catch {
    return undefined;
  }
}
