import { systemClock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { ReplicaConfig } from '../config.ts';
import type { ReplicaContext } from '../context.ts';
import { joinCluster } from '../directory/owner.ts';
import type { ReportRequest } from '@trivet/proto/messages.ts';
import { VERSION } from '@trivet/proto/version.ts';
import { Controllers, isRefusal } from './controllers.ts';
import { recover } from './recovery.ts';

const RETRY_MS = [50, 100, 200, 500, 1_000];

/** How long a node that must not start tries to say why. */
const ANNOUNCE_DEADLINE_MS = 5_000;

/**
 * Tells a controller that this node has found itself with another one's data directory, so that its replicas are known to be
 * missing. It ends whatever the answer is, and also without one.
 */
export async function announceWrongDirectory(config: ReplicaConfig, owner: string, boot: string): Promise<void> {
  const controllers = new Controllers(config.controllers, config.token);
  const said = controllers.handshake({ node: config.node, url: config.url, boot, directory: { node: owner } });
  // Refused (that is the answer to expect) or unreachable: there is nothing more to do about it.
  await Promise.race([said.catch(() => {}), systemClock.sleep(ANNOUNCE_DEADLINE_MS)]);
  await controllers.close();
}

/**
 * The restart handshake: says hello to a controller, settles what is in doubt, brings the disk in order, reports where
 * every replica stands, and only then lets the node serve. Waits for a controller as long as it takes.
 * @param git the version of git on this machine, to be told
 * @param stopping ends the waiting when the process is told to stop
 * @throws TrivetError wrong_directory, wrong_cluster, node_id_in_use, node_removed when a controller says so, which no waiting
 *   would change
 */
export async function restart(context: ReplicaContext, git: string, stopping: () => boolean): Promise<void> {
  const { config, owner, boot, clock, controllers, disk, journal, replicas, log } = context;
  const startedAt = clock.elapsed();
  const records = await journal.read();
  const shakeHands = async () => {
    const { cluster } = await controllers.handshake({
      node: config.node, url: config.url, boot, directory: owner, zone: config.zone, version: VERSION, gitVersion: git,
    });
    if (cluster !== undefined) await joinCluster(config.directory, owner, cluster);
  };
  await persist('handshake', shakeHands);
  const { inDoubt, failed, kept } = await recover(disk, records, async (promise) => {
    const settled = await persist('settle', () => controllers.settle({
      node: config.node, repository: promise.repository, batch: promise.batch, transactions: promise.transactions,
    }));
    context.metrics.settled.inc({ outcome: settled.outcome });
    return settled;
  });
  for (const [repository, error] of failed) log.error({ repository, err: error }, 'a replica can not be brought in order, and is kept out until it is repaired');
  journal.keep(kept);
  await journal.rotate(() => []);
  const positions: ReportRequest['replicas'] = [];
  for (const repository of await replicas.ids()) {
    if (failed.has(repository)) continue;
    try {
      positions.push({ repository, ...await replicas.use(repository, async (replica) => replica.position) });
    } catch (error) {
      // Not reported, so the controller takes it for missing and has it repaired.
      log.error({ repository, err: error }, 'a replica can not be opened');
    }
  }
  const report = () => controllers.report({ node: config.node, boot, replicas: positions });
  // Refused when a handshake of an earlier process of this node has come in after ours: so it is given again.
  let reports = 0;
  await persist('report', async () => {
    if (reports++ > 0) await shakeHands();
    await report();
  });
  context.ready = true;
  context.metrics.ready.set(1);
  log.info({ replicas: positions.length, inDoubt, tookMs: Math.round(clock.elapsed() - startedAt) }, 'the node is ready');

  async function persist<T>(step: string, action: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      if (stopping()) throw new TrivetError('shutting_down');
      try {
        return await action();
      } catch (error) {
        if (isRefusal(error)) throw error;
        const { code, fields } = asTrivetError(error);
        if (code === 'version_mismatch') log.error({ step, code, fields }, 'no controller of a version that gets on with this node answers yet');
        else log.info({ step, code }, 'no controller answers yet');
        await clock.sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]!);
      }
    }
  }
}
