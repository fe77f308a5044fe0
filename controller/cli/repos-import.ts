import type { Command } from 'commander';
import { ImportAnswer } from '../rest/import.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { Interrupted } from './faults.ts';
import { followPorts, LOOK_MS, Patience } from './follow.ts';
import { addNewRepositoryOptions, newRepositoryBody, type NewRepositoryOptions } from './new-repository.ts';
import { importLine } from './repository-text.ts';
import { act, type Session } from './session.ts';

const DEADLINE_MS = 60_000;

interface Options extends NewRepositoryOptions { watch?: true }

export function addReposImport(parent: Command): void {
  addNewRepositoryOptions(parent.command('import')
    .description('Creates a repository and has it filled from elsewhere. Nobody can read it before it is there as a whole;\n'
      + 'an import that fails takes its repository along. Exit status 1, with --watch: it has failed.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .argument('<source>', 'https://host/path, or node:/directory on a node'))
    .option('--watch', 'follow it to its end')
    .addHelpText('after', examples(
      ['trivet repos import org/repo https://git.example.org/repo.git --watch', 'from a server'],
      ['trivet repos import org/repo node1:/srv/old/repo.git', 'from a directory on a node'],
    ))
    .action(act<Options>(async (session, { watch, ...options }, name, source) => {
      const { api, screen } = session;
      const started = await api.post(ImportAnswer, '/api/v1/imports', { name, source, ...newRepositoryBody(options) }, DEADLINE_MS);
      const last = watch === true ? await follow(session, started) : started;
      if (screen.json) screen.document(last);
      else screen.print(watch === true ? importLine(last) : `The import of ${last.repository} has begun: ${last.id}`);
      return last.state === 'failed' || last.state === 'cancelled' ? EXIT.failed : EXIT.fine;
    }));
}

/** @returns the import at its end; each change is told on standard error */
async function follow(session: Session, started: ImportAnswer): Promise<ImportAnswer> {
  const { api, screen } = session;
  const ports = followPorts(session);
  const patience = new Patience(ports.now);
  let last = started;
  let told = '';
  try {
    while (last.state === 'waiting' || last.state === 'running') {
      const line = importLine(last);
      if (line !== told) screen.note(line);
      told = line;
      await ports.pause(LOOK_MS);
      const trouble = await patience.tryTo(async () => { last = await api.get(ImportAnswer, `/api/v1/imports/${last.id}`); });
      if (trouble !== undefined) screen.note(trouble);
    }
  } catch (error) {
    if (error instanceof Interrupted) screen.note(`Stopped looking; the import goes on: ${last.id}`);
    throw error;
  }
  return last;
}
