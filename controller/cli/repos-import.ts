import type { Command } from 'commander';
import { ImportAnswer } from '../rest/import.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { Interrupted } from './faults.ts';
import { followOne, followPorts } from './follow.ts';
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
  let told = '';
  try {
    return await followOne(followPorts(session), started, {
      isOver: ({ state }) => state !== 'waiting' && state !== 'running',
      look: () => api.get(ImportAnswer, `/api/v1/imports/${started.id}`),
      tell: (value) => {
        const line = importLine(value);
        if (line !== told) screen.note(line);
        told = line;
      },
      trouble: (text) => screen.note(text),
    });
  } catch (error) {
    if (error instanceof Interrupted) screen.note(`Stopped looking; the import goes on: ${started.id}`);
    throw error;
  }
}
