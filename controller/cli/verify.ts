import Type from 'typebox';
import type { Command } from 'commander';
import { VerificationAnswer, type VerifiedReplica } from '../rest/verification.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT, type Exit } from './exit.ts';
import { Refused } from './faults.ts';
import { act, type Session } from './session.ts';
import { formatBar, formatBytes, formatCount, formatDuration, formatNumber } from './terminal/format.ts';
import type { Tone } from './terminal/paint.ts';
import { table, type Column } from './terminal/table.ts';

const BAR_WIDTH = 30;
const PAGE = 1_000;
const Names = Type.Array(Type.Object({ name: Type.String() }));

interface Options { all?: true; full?: true }
interface Row extends VerifiedReplica { repository: string }

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
  else screen.print(...table(rowsOf(verification), COLUMNS.slice(1), screen));
  return verification.replicas.every(isEqual) ? EXIT.fine : EXIT.failed;
}

async function verifyAll(session: Session, full: boolean): Promise<Exit> {
  const { screen } = session;
  const names = await allNames(session);
  const progress = new Progress(session, names.length);
  const items: VerificationAnswer[] = [];
  try {
    for (const name of names) {
      progress.next(name);
      try {
        const verification = await verify(session, name, full);
        items.push(verification);
        progress.add(verification);
      } catch (error) {
        // Removed since the names were listed.
        if (!(error instanceof Refused && error.answer.code === 'repository_not_found')) throw error;
      }
    }
  } finally {
    // Also of a verification that was broken off: what was found so far.
    progress.end();
    if (screen.json) screen.document({ items });
    else report(session, items, names.length);
  }
  return items.every(({ replicas }) => replicas.every(isEqual)) ? EXIT.fine : EXIT.failed;
}

function report({ screen }: Session, items: readonly VerificationAnswer[], repositories: number): void {
  const rows = items.flatMap(rowsOf);
  const different = rows.filter((row) => !isEqual(row));
  if (different.length > 0) screen.print(...table(different, COLUMNS, screen));
  const left = repositories - items.length;
  screen.print(`${formatNumber(items.length, 'repository', 'repositories')} verified, ${formatCount(rows.length - different.length)} of ${formatNumber(rows.length, 'replica')} equal.${left === 0 ? '' : ` ${formatCount(left)} not verified.`}`);
}

function verify({ api }: Session, repository: string, full: boolean): Promise<VerificationAnswer> {
  // As long as it takes: a large repository is read from the disk for many minutes.
  return api.post(VerificationAnswer, '/api/v1/verifications', { repository, full }, 0);
}

async function allNames({ api }: Session): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const page = await api.get(Names, '/api/repos', { after: names.at(-1), limit: PAGE });
    names.push(...page.map(({ name }) => name));
    if (page.length < PAGE) return names;
  }
}

/** The bar over all repositories, where there is a terminal. */
class Progress {
  readonly #session: Session;
  readonly #total: number;
  #done = 0;
  #different = 0;

  constructor(session: Session, total: number) {
    this.#session = session;
    this.#total = total;
  }

  next(name: string): void {
    const { liveProgress: live, progressPaint: paint } = this.#session.screen;
    const different = this.#different === 0 ? '' : `, ${paint('bad', `${formatNumber(this.#different, 'replica')} not equal`)}`;
    live?.draw([`${formatBar(this.#done / this.#total, BAR_WIDTH)}  ${formatCount(this.#done)} of ${formatNumber(this.#total, 'repository', 'repositories')}${different}  ${paint('faint', name)}`]);
    this.#done++;
  }

  add({ replicas }: VerificationAnswer): void {
    this.#different += replicas.filter((replica) => !isEqual(replica)).length;
  }

  end(): void {
    this.#session.screen.liveProgress?.clear();
  }
}

function isEqual({ result }: VerifiedReplica): boolean {
  return result === 'equal';
}

function rowsOf({ repository, replicas }: VerificationAnswer): Row[] {
  return replicas.map((replica) => ({ repository, ...replica }));
}

const TONES: Record<VerifiedReplica['result'], Tone> = {
  equal: 'good', outdated: 'warn', unreachable: 'warn', diverged: 'bad', corrupt: 'bad', missing: 'bad',
};

const COLUMNS: Column<Row>[] = [
  { title: 'REPOSITORY', cell: (row) => row.repository },
  { title: 'NODE', cell: (row) => row.node },
  { title: 'RESULT', cell: (row) => ({ text: row.result, tone: TONES[row.result] }) },
  { title: 'STATE BEFORE', cell: (row) => row.state },
  { title: 'PACKS', cell: (row) => formatCount(row.packs), right: true },
  { title: 'SIZE', cell: (row) => formatBytes(row.bytes), right: true },
  { title: 'TOOK', cell: (row) => formatDuration(row.tookMs), right: true },
  { title: 'DETAIL', cell: (row) => row.detail },
];
