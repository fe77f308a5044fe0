import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { addNewRepositoryOptions, newRepositoryBody, type NewRepositoryOptions } from './new-repository.ts';
import { act } from './session.ts';

/** Directories are made on the nodes; one may be slow. */
const DEADLINE_MS = 60_000;

export function addReposCreate(parent: Command): void {
  addNewRepositoryOptions(parent.command('create')
    .description('Creates an empty repository.')
    .argument('<repository>', 'name of the repository', parseRepository))
    .addHelpText('after', examples(
      ['trivet repos create org/repo', 'as everything is by default'],
      ['trivet repos create org/repo --factor 5 --deny-deletes yes', 'five replicas, and no ref may be deleted'],
    ))
    .action(act<NewRepositoryOptions>(async ({ api, screen }, options, name) => {
      const repository = await api.post(RepositoryAnswer, '/api/v1/repositories', { name, ...newRepositoryBody(options) }, DEADLINE_MS);
      if (screen.json) screen.document(repository);
      else screen.print(`${repository.name} is created, on ${repository.replicas.map(({ node }) => node).join(', ')}.`);
      return EXIT.fine;
    }));
}
