import { setTimeout as sleep } from 'node:timers/promises';
import { mariadbHere, startMariaDb } from '../../test/mariadb.ts';
import { HttpClient } from '../client/http.ts';
import type { Row } from '../measure.ts';
import { PushChain } from '../repositories/push-chain.ts';
import { expectRefs, sendPrepared } from '../rounds.ts';
import { ReliabilityCluster } from './cluster.ts';
import type { ReliabilityBench, ReliabilityMeasure } from './measure.ts';

const POLL_MS = 5;
/** How long a cluster runs before its controller dies: a cluster that has just started is another measure. */
const SETTLED_MS = 3_000;

/**
 * How long a push stays in doubt when its controller is killed with every promise made and nothing decided: from the
 * kill, which the client sees at once as a broken connection, until no node holds a promise any more. A node lets go of
 * one only after it has learned a decision that is in SQL.
 */
export const coordinator: ReliabilityMeasure = async (bench) => {
  const rounds = bench.quick ? 2 : 5;
  const common = { measure: 'coordinator', unit: 's', better: 'lower', summary: 'median', must: { value: 5 }, dream: { value: 1 } } as const;
  const rows: Row[] = [{
    ...common,
    what: 'controller killed between prepare and commit → decided, started again by npm start (SQLite)',
    rounds: { subject: await startedAgain(bench, rounds) },
  }];
  if (mariadbHere()) {
    rows.push({
      ...common,
      what: 'the same, with another controller there (MariaDB)',
      rounds: { subject: await anotherThere(bench, rounds) },
    });
  } else {
    bench.progress('coordinator: without MariaDB (Debian: mariadb-server) there is no second controller');
  }
  return rows;
};

/** A cluster for each round: how long `npm start` pauses depends on how often a part has died lately. */
async function startedAgain(bench: ReliabilityBench, rounds: number): Promise<number[]> {
  const seconds: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    bench.progress(`coordinator: the only one, round ${round} of ${rounds}`);
    const cluster = await ReliabilityCluster.start(bench, { name: `coordinator-${round}`, restart: true, store: 'sqlite' });
    try {
      seconds.push(await inDoubt(cluster, 'in-doubt', cluster.url));
    } finally {
      await cluster.end();
    }
  }
  return seconds;
}

async function anotherThere(bench: ReliabilityBench, rounds: number): Promise<number[]> {
  bench.progress('coordinator: starting MariaDB');
  const starting = startMariaDb();
  bench.cleanup.add(() => starting.then((database) => database.stop(), () => {}));
  const database = await starting;
  const cluster = await ReliabilityCluster.start(bench, { name: 'coordinator-two', restart: false, store: database.url });
  const seconds: number[] = [];
  try {
    await cluster.addController();
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`coordinator: another one there, round ${round} of ${rounds}`);
      seconds.push(await inDoubt(cluster, `in-doubt-${round}`, cluster.urlOf('controller2')));
      cluster.start('controller');
      await cluster.untilReady('controller');
    }
  } finally {
    await cluster.end();
    await database.stop();
  }
  return seconds;
}

/**
 * Kills the first controller in the middle of a push.
 * @param url of the controller that is asked afterwards what became of it
 * @returns seconds from the kill until no promise is left
 */
async function inDoubt(cluster: ReliabilityCluster, name: string, url: string): Promise<number> {
  const client = new HttpClient();
  const chain = new PushChain('client');
  const base = PushChain.base();
  try {
    const gitUrl = await cluster.create(name);
    await sendPrepared({ client, url: gitUrl }, base);
    await cluster.untilEqual(name);
    await sleep(SETTLED_MS);
    await cluster.armKill('controller', 'decide-begin');
    const push = chain.next();
    const broken = await sendPrepared({ client, url: gitUrl }, push).then(() => false, () => true);
    const killedAt = performance.now();
    if (!broken) throw new Error('the push was answered, although its controller should have died');
    const promised = await cluster.promises();
    if (promised < 2) throw new Error(`${promised} promises were there, fewer than a quorum`);
    await cluster.until(async () => await cluster.promises() === 0, () => 'a promise is never settled', POLL_MS);
    const seconds = (performance.now() - killedAt) / 1000;

    // Nobody had decided, so that it was never to be; the same push goes through afterwards.
    await cluster.until(() => cluster.show(name, url).then(() => true, () => false), () => 'no controller answers');
    const view = await cluster.untilEqual(name, url);
    if (view.generation !== 1) throw new Error(`${name} is at generation ${view.generation}, not 1`);
    const again = { client, url: `${url}/git/${name}.git` };
    await sendPrepared(again, push);
    await expectRefs(again, [...base.updates, ...push.updates]);
    return seconds;
  } finally {
    client.close();
  }
}
