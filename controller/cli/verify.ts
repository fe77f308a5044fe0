import type { Command } from 'commander';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT, type Exit } from './exit.ts';
import { act, type Session } from './session.ts';
import { table } from './terminal/table.ts';
import { verify } from './verification.ts';
import { VERIFICATION_COLUMNS, allEqual, rowsOf } from './verification-text.ts';
import { verifyAll } from './verify-all.ts';

interface Options { all?: true; full?: true }

export function addVerify(parent: Command): void {
  const command = parent.command('verify')
    .description('Compares the replicas of one repository, or of all, with what the cluster holds to be true.\n'
      + 'What differs is taken out of service at once and repaired. Exit status 1: something is not equal.')
    .argument('[repository]', 'name of the repository', parseRepository)
    .option('--all', 'every repository, one after another')
    .option('--full', 'also every object of every pack: reads everything from the disks')
    .addHelpText('after', examples(
      ['trivet verify org/repo', 'the refs of each replica'],
      ['trivet verify org/repo --full', 'and all its objects'],
      ['trivet verify --all', 'everything, with a progress bar; lists what is not equal'],
      ['trivet verify --all --json > report.json', 'the same for a program'],
    ));
  command.action(act<Options>((session, { all, full = false }, repository?: string) => {
    if ((repository === undefined) === (all === undefined)) command.error('error: name a repository, or give --all');
    return repository === undefined ? verifyAll(session, full) : verifyOne(session, repository, full);
  }));
}

async function verifyOne(session: Session, repository: string, full: boolean): Promise<Exit> {
  const { screen } = session;
  const verification = await verify(session, repository, full);
  if (screen.json) screen.document(verification);
  else screen.print(...table(rowsOf(verification), VERIFICATION_COLUMNS.slice(1), screen));
  return allEqual(verification) ? EXIT.fine : EXIT.failed;
}
