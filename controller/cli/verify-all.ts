import Type from 'typebox';
import type { ErrorAnswer } from '../rest/error.ts';
import type { VerificationAnswer } from '../rest/verification.ts';
import { EXIT, type Exit } from './exit.ts';
import { Refused } from './faults.ts';
import { followPorts, LOOK_MS, Patience } from './follow.ts';
import type { Session } from './session.ts';
import { formatBar, formatCount, formatNumber } from './terminal/format.ts';
import { table } from './terminal/table.ts';
import { verify } from './verification.ts';
import { allEqual, isEqual, rowsOf, VERIFICATION_COLUMNS } from './verification-text.ts';

const BAR_WIDTH = 30;
const PAGE = 1_000;
const Names = Type.Array(Type.Object({ name: Type.String() }));

/** What has come of a verification of everything so far. */
interface Report {
  items: VerificationAnswer[];
  /** Repositories that couldn't be verified, and what the cluster said. */
  failed: { repository: string; error: ErrorAnswer }[];
  /** Removed since the names were listed. */
  gone: number;
}

/**
 * Verifies every repository, one after another: it goes on for hours in a large cluster, so one that can't be verified
 * doesn't end it, nor does a cluster that is silent for a moment. What was found so far is told also when it is broken off.
 */
export async function verifyAll(session: Session, full: boolean): Promise<Exit> {
  const { screen } = session;
  const names = await allNames(session);
  const report: Report = { items: [], failed: [], gone: 0 };
  try {
    for (const [i, name] of names.entries()) {
      draw(session, report, i, names);
      await add(report, session, name, full);
    }
  } finally {
    screen.liveProgress?.clear();
    if (screen.json) screen.document({ items: report.items, failed: report.failed });
    else tell(session, report, names.length);
  }
  return report.failed.length === 0 && report.items.every(allEqual) ? EXIT.fine : EXIT.failed;
}

async function add(report: Report, session: Session, repository: string, full: boolean): Promise<void> {
  const ports = followPorts(session);
  const patience = new Patience(ports.now);
  try {
    // To verify twice does no harm.
    while (await patience.tryTo(async () => { report.items.push(await verify(session, repository, full)); }) !== undefined) await ports.pause(LOOK_MS);
  } catch (error) {
    if (!(error instanceof Refused) || error.status === 503) throw error;
    if (error.answer.code === 'repository_not_found') report.gone++;
    else report.failed.push({ repository, error: error.answer });
  }
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
function draw({ screen: { liveProgress, progressPaint } }: Session, { items }: Report, done: number, names: readonly string[]): void {
  if (liveProgress === undefined) return;
  const different = items.flatMap(({ replicas }) => replicas).filter((replica) => !isEqual(replica)).length;
  liveProgress.draw([[
    formatBar(done / names.length, BAR_WIDTH),
    `${formatCount(done)} of ${formatNumber(names.length, 'repository', 'repositories')}`,
    ...(different === 0 ? [] : [progressPaint('bad', `${formatNumber(different, 'replica')} not equal`)]),
    progressPaint('faint', names[done]!),
  ].join('  ')]);
}

function tell({ screen }: Session, { items, failed, gone }: Report, repositories: number): void {
  const rows = items.flatMap(rowsOf);
  const different = rows.filter((row) => !isEqual(row));
  if (different.length > 0) screen.print(...table(different, VERIFICATION_COLUMNS, screen));
  for (const { repository, error } of failed) screen.print(`${repository} could not be verified: ${error.message} (${error.code})`);
  const left = repositories - items.length - gone;
  screen.print(`${formatNumber(items.length, 'repository', 'repositories')} verified, ${formatCount(rows.length - different.length)} of ${formatNumber(rows.length, 'replica')} equal.`
    + `${left === 0 ? '' : ` ${formatCount(left)} not verified.`}`);
}
