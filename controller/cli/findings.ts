import { Option, type Command } from 'commander';
import { FindingPage, type FindingAnswer } from '../rest/finding.ts';
import { parseId, parseNode, parseRepository, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';
import { formatAge } from './terminal/format.ts';
import type { Column } from './terminal/table.ts';

interface Options { state: 'open' | 'resolved' | 'all'; repository?: string; node?: string; after?: string; limit: number }

export function addFindings(parent: Command): void {
  parent.command('findings')
    .description('Lists what verification has found on the nodes\' disks, the newest first. Exit status 1: one of those is open.')
    .addOption(new Option('--state <state>', 'open: not repaired yet').choices(['open', 'resolved', 'all']).default('open'))
    .option('--repository <name>', 'only those about this repository', parseRepository)
    .option('--node <node>', 'only those on this node', parseNode)
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <finding>', 'only those older than this one: the next page', parseId)
    .addHelpText('after', examples(
      ['trivet findings', 'what is wrong on the disks'],
      ['trivet findings --state all --node node2', 'is this disk going bad?'],
    ))
    .action(act<Options>(async ({ api, screen }, { state, repository, node, after, limit }) => {
      const open = state === 'all' ? undefined : state === 'open';
      const page = await api.get(FindingPage, '/api/v1/findings', { open, repository, node, after, limit });
      showPage(screen, page, columns(Date.now()), state === 'all' ? 'No findings.' : `No ${state} findings.`);
      return page.items.some((finding) => finding.resolvedAt === null) ? EXIT.failed : EXIT.fine;
    }));
}

function columns(nowMs: number): Column<FindingAnswer>[] {
  return [
    { title: 'NODE', cell: (finding) => finding.node },
    { title: 'REPOSITORY', cell: ({ repository, repositoryId }) => repository ?? `(${repositoryId})` },
    { title: 'FOUND', cell: ({ kind, resolvedAt }) => ({ text: kind, tone: resolvedAt === null ? 'bad' : 'plain' }) },
    { title: 'AGO', cell: ({ foundAt }) => formatAge(foundAt, nowMs), right: true },
    { title: 'RESOLVED', cell: ({ resolvedAt }) => (resolvedAt === null ? 'no' : `${formatAge(resolvedAt, nowMs)} ago`) },
    { title: 'DETAIL', cell: (finding) => finding.detail },
  ];
}
