import { InvalidArgumentError, Option, type Command } from 'commander';
import { wholeNumber } from './arguments.ts';

/** What can be said of a new repository, as REST takes it. */
export interface NewRepositoryOptions {
  defaultBranch?: string;
  objectFormat?: string;
  factor?: number;
  denyNonFastForwards?: boolean;
  denyDeletes?: boolean;
}

/** The options of every command that makes a repository. */
export function addNewRepositoryOptions(command: Command): Command {
  return command
    .option('--default-branch <branch>', 'what HEAD points at (default: main)')
    .addOption(new Option('--object-format <format>', 'sha1 unless given').choices(['sha1', 'sha256']))
    .option('--factor <count>', 'how many replicas it shall have', wholeNumber(1, 9))
    .option('--deny-non-fast-forwards <yes-or-no>', 'whether forced pushes to branches are refused', yesOrNo)
    .option('--deny-deletes <yes-or-no>', 'whether deletions of refs are refused', yesOrNo);
}

export function newRepositoryBody({ defaultBranch, objectFormat, factor, denyNonFastForwards, denyDeletes }: NewRepositoryOptions): object {
  return { defaultBranch, objectFormat, replicationFactor: factor, denyNonFastForwards, denyDeletes };
}

export function yesOrNo(text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw new InvalidArgumentError('yes or no.');
  return text === 'yes';
}
