import { setTimeout as sleep } from 'node:timers/promises';
import anyTest from 'ava';
import { PATIENCE_MS, until } from '../cluster.ts';
import { mariadbHere } from '../mariadb.ts';
import { DATABASE } from '../chaos/deployment/deployment.ts';
import { PATIENT, Production } from './production.ts';
import { RequestBalancer } from './request-balancer.ts';
import { checkRepository } from './whole-refs.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;
/** A busy machine. */
const TIMEOUT_MS = 10 * 60_000;
const ENOUGH = 15;
const STOPPED_MS = 2_000;
const REPOSITORY = 'racing';

test('git clients that race through two controllers, each request through another, see one order of all pushes and reads, also when a controller stands still or dies', async (t) => {
  t.timeout(TIMEOUT_MS);
  const production = await Production.start(t, { nodes: 3, controllers: 2, environment: PATIENT }, { [REPOSITORY]: {} });
  const { deployment, history } = production;
  const [first, second] = deployment.controllers;
  const balancer = await RequestBalancer.start(deployment.controllers.map(({ port }) => port));
  t.teardown(() => balancer.stop());
  production.work(5, new Map([['each request through another', balancer.url], ...deployment.controllers.map(({ name, url }) => [name, url] as const)]));
  const more = async (what: string) => {
    const begin = history.now();
    await until(() => production.acknowledgedSince(begin) >= ENOUGH, PATIENCE_MS, () => `pushes stand still ${what}`);
  };
  await more('from the beginning');

  history.note('controller1 stands still');
  first!.stop();
  // Whoever it was serving waits for it; what it had decided, or was about to, others may have settled when it goes on.
  await sleep(STOPPED_MS);
  first!.continue();
  await more('after a controller stood still');

  history.note('controller2 is killed');
  await second!.kill();
  await more('when a controller is gone');
  second!.start();
  await until(() => second!.ready(), PATIENCE_MS, () => 'controller2 does not come back');
  await more('when it is back');

  await production.endWork();
  t.deepEqual(await production.judge(deployment.controllers.map(({ name }) => name)), []);
  t.deepEqual(checkRepository(history.records, REPOSITORY), { result: 'linearizable' });
  const outcomes = history.pushes.flatMap(({ updates }) => updates.map(({ outcome }) => outcome));
  t.true(outcomes.includes('rejected'), 'some lost a race');
  for (const name of ['controller1', 'controller2', 'each request through another']) {
    t.true(history.pushes.some(({ controller, updates }) => controller === name && updates.some(({ outcome }) => outcome === 'ok')), name);
  }
  t.log(`${history.pushes.length} pushes, ${history.reads.length} reads in ${Math.round(history.now() / 1000)} s`);
});

test('two controllers whose turns exclude nobody, as in a cluster of databases that each know their own locks, still make one order', async (t) => {
  t.timeout(TIMEOUT_MS);
  const production = await Production.start(t, { nodes: 3, controllers: 2, environment: PATIENT }, { [REPOSITORY]: {} });
  const { deployment, history } = production;
  const [first, second] = deployment.controllers;
  const wire = deployment.network.link(first!.name, DATABASE);
  wire.rewrite('trivet-turn-', 'trivet-TURN-');
  production.work(6, new Map([first!, second!].map(({ name, url }) => [name, url])));
  for (const part of [first!, second!]) {
    await until(() => history.pushes.filter(({ controller, updates }) => controller === part.name && updates.some(({ outcome }) => outcome === 'ok')).length >= ENOUGH, PATIENCE_MS,
      () => `pushes through ${part.name} stand still`);
  }
  await production.endWork();
  t.true(wire.rewritten > 0, 'no turn was taken');
  t.deepEqual(await production.judge(deployment.controllers.map(({ name }) => name)), []);
  t.deepEqual(checkRepository(history.records, REPOSITORY), { result: 'linearizable' });
  t.log(`${history.pushes.length} pushes, ${history.reads.length} reads in ${Math.round(history.now() / 1000)} s; ${wire.rewritten} turns`);
});

test('control: a controller that answers from what it remembers is found out', async (t) => {
  t.timeout(TIMEOUT_MS);
  const production = await Production.start(t, { nodes: 3, controllers: 2, environment: PATIENT }, { [REPOSITORY]: {} });
  const { deployment, history } = production;
  const forgetful = await RequestBalancer.start([deployment.controllers[0]!.port], true);
  t.teardown(() => forgetful.stop());
  production.work(3, new Map([['remembers', forgetful.url], ['controller2', deployment.controllers[1]!.url]]));
  await until(() => production.acknowledgedSince(0) >= ENOUGH && history.reads.filter(({ controller, ok }) => controller === 'remembers' && ok).length >= ENOUGH, PATIENCE_MS,
    () => 'too little happens');
  await production.endWork();
  const violations = await production.judge(['controller2']);
  t.true(violations.some(({ promise }) => promise.startsWith('every acknowledged push is seen by every later read')), JSON.stringify(violations));
  t.not(checkRepository(history.records, REPOSITORY).result, 'linearizable');
});
