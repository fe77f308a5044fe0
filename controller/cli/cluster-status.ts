import type { Command } from 'commander';
import { ClusterStatus } from '../rest/cluster.ts';
import { clusterLines } from './cluster-text.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { followPorts, Patience } from './follow.ts';
import { act, type Session } from './session.ts';
import { printable } from './terminal/printable.ts';
import type { Screen } from './terminal/screen.ts';

/** Pause between two looks at the whole. */
const WATCH_MS = 1_000;

export function addClusterStatus(parent: Command): void {
  parent.command('status')
    .description('Tells on one screen whether anything is wrong, where, and what is being done. Exit status 1: something is.')
    .option('--watch', 'look again every second, until Ctrl-C; with --json, one document for each line')
    .addHelpText('after', examples(
      ['trivet cluster status', 'is everything well?'],
      ['trivet cluster status --watch', 'the same as it changes'],
      ['trivet cluster status --json | jq -r .verdict', 'ok, degraded or critical, for a program'],
    ))
    .action(act<{ watch?: true }>(async (session, { watch }) => {
      const { api, screen } = session;
      if (watch === true) return watchStatus(session);
      const status = await api.get(ClusterStatus, '/api/v1/cluster');
      if (screen.json) screen.document(status);
      else screen.print(...clusterLines(status, Date.now(), screen));
      return status.verdict === 'ok' ? EXIT.fine : EXIT.failed;
    }));
}

/** Ends by Interrupted, or when the cluster has been silent for too long. */
async function watchStatus(session: Session): Promise<never> {
  const { api, screen } = session;
  const ports = followPorts(session);
  const patience = new Patience(ports.now);
  const show = viewOf(screen);
  let status: ClusterStatus | undefined;
  for (;;) {
    const trouble = await patience.tryTo(async () => { status = await api.get(ClusterStatus, '/api/v1/cluster'); });
    show(status, trouble);
    await ports.pause(WATCH_MS);
  }
}

/** On a terminal the screen, drawn anew; elsewhere the whole again when something else is wrong than before. */
function viewOf(screen: Screen): (status: ClusterStatus | undefined, trouble: string | undefined) => void {
  let before = '';
  return (status, trouble) => {
    if (screen.json) {
      if (status !== undefined && trouble === undefined) screen.documentLine(status);
      return;
    }
    const troubles = trouble === undefined ? [] : [screen.paint('warn', printable(trouble))];
    const lines = [...troubles, ...(status === undefined ? [] : clusterLines(status, Date.now(), screen))];
    if (screen.liveAnswer !== undefined) {
      screen.liveAnswer.draw(lines);
      return;
    }
    const now = JSON.stringify([status?.problems, trouble]);
    if (now !== before) screen.print(...lines);
    before = now;
  };
}
