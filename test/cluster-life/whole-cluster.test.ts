import anyTest, { type ExecutionContext } from 'ava';
import { PATIENCE_MS, until } from '../cluster.ts';
import { mariadbHere } from '../mariadb.ts';
import type { Part } from '../chaos/deployment/part.ts';
import { failuresBetween } from './failures.ts';
import { LoadBalancer } from './load-balancer.ts';
import { PATIENT, Production } from './production.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;
/** A busy machine. */
const TIMEOUT_MS = 10 * 60_000;
const CLIENTS = 4;

test('every part is restarted in turn under load and no push or clone fails; at the end every history is linearizable and every replica equal', async (t) => {
  t.timeout(TIMEOUT_MS);
  const production = await Production.start(t, {
    nodes: 5, spares: 1, controllers: 2, replicationFactor: 3, environment: { ...PATIENT, TRIVET_STOP_DELAY_MS: '500' },
  }, { three: {}, five: { replicationFactor: 5 }, strict: { denyNonFastForwards: true, denyDeletes: true } });
  const { deployment, history } = production;
  const balancer = await LoadBalancer.start(deployment.controllers);
  t.teardown(() => balancer.stop());
  production.work(CLIENTS, new Map([['balancer', balancer.url]]));

  await during(t, production, 'controllers and nodes are restarted', async () => {
    for (const part of deployment.parts) {
      history.note(`${part.name} is restarted`);
      t.is(await part.end(), 0, part.name);
      await startAgain(part);
      await until(() => part.kind === 'node' || balancer.isReady(part.name), PATIENCE_MS, () => `${part.name} was not taken back`);
      // As an operator does: the next one only when the last one has what it missed.
      await production.untilNothingIsAtRisk();
    }
  });

  // Nothing can be decided without it, so pushes fail now; what they were told must be true.
  history.note('the database is restarted');
  const without = history.now();
  await deployment.database.kill();
  await deployment.database.startAgain();
  await until(() => deployment.controllers.every(({ name }) => balancer.isReady(name)), PATIENCE_MS, () => 'controllers do not find the database again');
  await until(() => production.acknowledgedSince(without) > 0, PATIENCE_MS, () => 'pushes do not work again');
  await production.untilNothingIsAtRisk();

  await production.endWork();
  t.deepEqual(await production.judge(['balancer']), []);
  t.log(`${history.pushes.length} pushes, ${history.reads.length} reads in ${Math.round(history.now() / 1000)} s`);
});

/** What happens meanwhile, nobody notices; and something does happen. */
async function during(t: ExecutionContext, production: Production, what: string, action: () => Promise<void>): Promise<void> {
  const { history } = production;
  const begin = history.now();
  await action();
  await until(() => production.acknowledgedSince(begin) > 0, PATIENCE_MS, () => `no push was acknowledged while ${what}`);
  t.deepEqual(failuresBetween(history.records, begin, history.now()), [], what);
}

async function startAgain(part: Part): Promise<void> {
  part.start();
  await until(() => part.ready(), PATIENCE_MS, () => `${part.name} does not serve; its log is ${part.log}`);
}
