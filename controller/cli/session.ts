import { CommanderError, type Command } from 'commander';
import { Api } from './api.ts';
import { readCliEnvironment } from './config.ts';
import { parseControllers } from './arguments.ts';
import { EXIT, exitOf, type Exit } from './exit.ts';
import { Interrupted, Refused } from './faults.ts';
import { Screen } from './terminal/screen.ts';

/** What every command works with. */
export interface Session {
  api: Api;
  screen: Screen;
  /** Aborted at the first Ctrl-C; the second ends the process. */
  signal: AbortSignal;
}

export interface GlobalOptions {
  controller?: readonly string[];
  json?: true;
  colour: boolean;
  color: boolean;
}

/**
 * A command's action for commander: makes the session, runs it, and turns what comes of it into the process's exit
 * status. An error is told on standard error; with `--json`, what REST answered is the document also then.
 */
export function act<Options extends object>(
  action: (session: Session, options: Options, ...args: string[]) => Promise<Exit>,
): (...args: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalOptions>();
    const environment = readCliEnvironment(process.env);
    const controllers = options.controller ?? fromEnvironment(command, environment.controllers);
    const interrupt = new AbortController();
    process.once('SIGINT', () => interrupt.abort());
    const screen = new Screen({
      json: options.json === true, colour: options.colour && options.color && !environment.noColour, capable: !environment.dumb,
    });
    const api = new Api(controllers, interrupt.signal);
    try {
      process.exitCode = await action({ api, screen, signal: interrupt.signal }, options, ...command.processedArgs as string[]);
    } catch (error) {
      // Commander has told what is wrong.
      if (error instanceof CommanderError) throw error;
      process.exitCode = exitOf(error);
      tell(screen, error as Error);
    } finally {
      await api.close();
    }
  };
}

function fromEnvironment(command: Command, text: string): readonly string[] {
  try {
    return parseControllers(text);
  } catch (error) {
    return command.error(`error: TRIVET_CONTROLLER_URL is invalid: ${(error as Error).message}`);
  }
}

function tell(screen: Screen, error: Error): void {
  if (error instanceof Interrupted) return;
  screen.note(`error: ${error.message}`);
  if (screen.json && !screen.documented && error instanceof Refused) screen.document(error.answer);
  if (error instanceof Refused && process.exitCode !== EXIT.usage && error.answer.retry) screen.note('The same may succeed later.');
}
