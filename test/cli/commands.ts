import type { ExecutionContext } from 'ava';
import { runCli, type CliResult } from '../../controller/cli/run-cli.ts';

/** The commands of `npx trivet`, asked of one cluster. @param url the cluster's at the time of the command */
export function commandsOf(url: () => string) {
  const trivet = (...args: string[]): Promise<CliResult> => runCli(args, { url: url() });
  return {
    trivet,
    /** Runs a command with --json and expects its exit status. Returns the document. */
    async document(t: ExecutionContext, code: number, ...args: string[]): Promise<any> {
      const result = await trivet(...args, '--json');
      t.is(result.code, code, result.stderr);
      return JSON.parse(result.stdout);
    },
  };
}
