import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import mysql from 'mysql2/promise';
import { PATIENCE_MS, until } from '../cluster.ts';
import { Deployment } from '../chaos/deployment/deployment.ts';
import { WorkRepository } from '../chaos/clients/work-repository.ts';
import { Random } from '../chaos/random.ts';
import { mariadbHere } from '../mariadb.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;
const TIMEOUT_MS = 5 * 60_000;
/** Longer than this test waits for anything: whoever waits for the lease of another fails it. */
const LEASE_MS = '300000';

interface Job { id: string; state: string; holder: string | null; attempt: number; lastError: string | null }

test('what a stopping controller was doing for all, another one does at once: duties, and repairs with their attempt not counted', async (t) => {
  t.timeout(TIMEOUT_MS);
  const deployment = await Deployment.start({
    // So slow that it is never over in this test.
    nodes: 3, controllers: 2, environment: { TRIVET_REPAIR_LEASE_MS: LEASE_MS, TRIVET_REPAIR_BYTES_PER_SECOND: '1024' },
  });
  t.teardown(async () => { await deployment.stop(); await deployment.remove(); });
  const [first, second] = deployment.controllers;
  await deployment.untilUsed(PATIENCE_MS);
  t.is((await fetch(`${first!.url}/api/repos/handed`, { method: 'POST' })).status, 201);
  const node = deployment.part('node3');
  await node.end();
  const work = await WorkRepository.create(join(deployment.directory, 'work'), 'sha1', 'a');
  const tip = await work.commit([], new Random(randomBytes(4).readUInt32LE()), 1024 * 1024);
  const { code, text } = await work.push(`${first!.url}/git/handed.git`, new Map([['refs/heads/main', tip]]), { force: false, atomic: false });
  t.is(code, 0, text);
  node.start();

  let job: Job | undefined;
  const held = async (by: (holder: string) => boolean) => {
    await until(async () => {
      const { items } = await (await fetch(`${second!.url}/api/v1/repair-jobs?repository=handed&state=open`).catch(() => fetch(`${first!.url}/api/v1/repair-jobs?repository=handed&state=open`))).json() as { items: Job[] };
      [job] = items;
      return job?.state === 'running' && by(job.holder!);
    }, PATIENCE_MS, () => `the job is ${JSON.stringify(job)}`);
    return job!;
  };
  const before = await held(() => true);
  const holder = deployment.controllers.find(({ name }) => before.holder!.includes(name))!;
  t.is(await holder.end(), 0);
  const after = await held((name) => name !== before.holder);
  t.is(after.id, before.id);
  t.is(after.lastError, 'shutting_down');
  const said = await readFile(holder.log, 'utf8');
  t.true(said.includes('repair handed over'), said);
  t.false(said.includes('repair failed'), 'to hand a repair over is no failure');

  const rest = deployment.controllers.find((each) => each !== holder)!;
  const holders = async () => {
    const connection = await mysql.createConnection(deployment.database.url);
    const [rows] = await connection.query<mysql.RowDataPacket[]>("SELECT name, SUBSTRING_INDEX(holder, '/', 1) AS holder FROM duties WHERE lease_until > UTC_TIMESTAMP(3)");
    await connection.end();
    return rows;
  };
  const heldNow = (await holders()).map(({ holder: by }) => by as string);
  t.false(heldNow.includes(holder.name), 'no lease is left of it');
  await until(async () => (await holders()).length >= 3, PATIENCE_MS, () => 'nobody takes the duties');
  t.deepEqual(new Set((await holders()).map(({ holder: by }) => by as string)), new Set([rest.name]));
});
