import { CommanderError } from 'commander';
import { Interrupted, Refused, Unreachable } from './faults.ts';

/** What an exit status says; docs/cli.md tells it to people. */
export const EXIT = {
  fine: 0,
  /** Something is at risk, was found, has failed or keeps failing. */
  failed: 1,
  /** The command can't mean anything: how it is written, or what it names. */
  usage: 2,
  /** No controller answered, or none that could ask the cluster. */
  unreachable: 3,
  /** 128 and the number of SIGINT, as shells have it. */
  interrupted: 130,
} as const;
export type Exit = typeof EXIT[keyof typeof EXIT];

/** The exit status of a command that ended in this error. Throws what isn't expected. */
export function exitOf(error: unknown): Exit {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
  if (error instanceof Unreachable) return EXIT.unreachable;
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof Refused) {
    // 503: it is the cluster that can't be asked. 400 and 404: what was asked for doesn't exist.
    if (error.status === 503) return EXIT.unreachable;
    return error.status === 400 || error.status === 404 ? EXIT.usage : EXIT.failed;
  }
  throw error;
}
