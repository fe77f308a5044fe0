import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { mariadbHere } from '../mariadb.ts';
import { runCampaign, type CampaignOptions, type CampaignResult } from './campaign.ts';
import { LOG_REFS } from './clients/refs.ts';
import { tell } from './story.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;
/** A busy machine, and repairs that wait for one another. */
const PATIENCE_MS = 15 * 60_000;

test('what clients were promised holds through a short run of faults on real processes', async (t) => {
  t.timeout(PATIENCE_MS);
  const { violations, figures, history } = await run(t, { seed: 20_260_101, durationMs: 40_000, clients: 5, pauseMs: 1_200 });
  t.deepEqual(violations.map((violation) => tell(violation, history.records)), []);
  t.true(figures.pushesAcknowledged > 0 && figures.reads > 0);
  t.true(new Set(Object.keys(figures.faultsByKind)).size >= 8, JSON.stringify(figures.faultsByKind));
  t.log(JSON.stringify(figures));
});

test('control: a ref that is moved behind a replica\'s back, with nobody to repair it, makes the run red', async (t) => {
  t.timeout(PATIENCE_MS);
  const { violations } = await run(t, {
    seed: 1, durationMs: 5_000, clients: 3, pauseMs: 1_000, only: [],
    meddle: async (deployment, views) => {
      const { id } = views.find((view) => view.name === 'plain-1')!;
      // A commit that never was: nobody pushed it, and no replica has it.
      await writeFile(join(deployment.replicaDirectory('node2', id), LOG_REFS[0]), `${'1'.repeat(40)}\n`);
    },
  });
  const promises = new Set(violations.map((violation) => violation.promise));
  for (const promise of ['every replica passes git fsck', 'all replicas have equal refs', 'every acknowledged push is seen by every later read, and every ref moves only from where it is']) {
    t.true(promises.has(promise), `${promise}: not among ${[...promises].join('; ')}`);
  }
});

async function run(t: ExecutionContext, options: Pick<CampaignOptions, 'seed' | 'durationMs' | 'clients' | 'pauseMs'> & Partial<CampaignOptions>): Promise<CampaignResult> {
  const result = await runCampaign({ nodes: 3, verification: false, say: (line) => t.log(line), ...options });
  await result.deployment.stop();
  if (result.violations.length === 0 || options.meddle !== undefined) await result.deployment.remove();
  else t.log(`logs are in ${result.deployment.logDirectory}, the history is ${result.history.path}`);
  return result;
}
