import { RepositoriesAtRisk } from '../../controller/store/at-risk.ts';
import { openDatabase } from '../../controller/store/database.ts';
import { Findings } from '../../controller/store/findings.ts';
import { RepairJobs } from '../../controller/store/jobs.ts';
import { Replicas } from '../../controller/store/replicas.ts';
import { Repositories } from '../../controller/store/repositories.ts';
import { Verifications } from '../../controller/store/verifications.ts';
import { NODES, nameOf } from './rows.ts';

// The process that is measured: `measure-scale.ts URL REPOSITORIES`, which prints a ScaleFigures as JSON.

export interface ScaleFigures {
  routeP50Ms: number;
  routeP99Ms: number;
  reconcileMs: number;
  listMs: number;
  atRiskMs: number;
  conditionMs: number;
  countMs: number;
  peakBytes: number;
}

const ROUTES = 5_000;
/** One thousand at a time, as the loop opens them. */
const SWEEP = 1_000;
const PLAN = 5_000;
const HOUR_MS = 3_600_000;

const [url, count] = process.argv.slice(2) as [string, string];
const repositories = Number(count);
const db = await openDatabase(url, { deadlineMs: 60_000 });
const routes = new Repositories(db);
const replicas = new Replicas(db);
const verifications = new Verifications(db);
const jobs = new RepairJobs(db);

const times: number[] = [];
for (let i = 0; i < ROUTES; i++) {
  const name = nameOf(1 + Math.floor(Math.random() * repositories));
  times.push(await took(async () => {
    if ((await routes.route(name))?.replicas.length !== 3) throw new Error(`${name} has no route`);
  }));
}
times.sort((a, b) => a - b);

// A pass from nothing: every replica that isn't current gets its job, every one of all its plan, and one is claimed.
const reconcileMs = await took(async () => {
  for (let open = -1; ;) {
    await jobs.ensureAll(SWEEP);
    const now = (await jobs.countOpen()).reduce((sum, job) => sum + job.count, 0);
    if (now === open) break;
    open = now;
  }
  for (const kind of ['verify', 'check'] as const) while (await verifications.plan(kind, HOUR_MS, PLAN, Math.random) > 0);
  await jobs.claim({ holder: 'bench', leaseMs: 10_000, nodes: ['node01', 'node02'], limit: 4 });
  for (let i = 1; i <= NODES; i++) await verifications.claim('verify', [`node${String(i).padStart(2, '0')}`], HOUR_MS);
});

const listMs = await took(async () => { await routes.list({ after: nameOf(Math.floor(repositories / 2)), limit: 100 }); });
const atRiskMs = await took(async () => { await new RepositoriesAtRisk(db).list(['node07']); });
let total = 0;
const countMs = await took(async () => { total = await replicas.count(); });
const conditionMs = await took(async () => {
  await replicas.countByState(total);
  await new RepositoriesAtRisk(db).list([]);
  await jobs.countOpen();
  await new Findings(db).countOpen();
  await verifications.oldest('verify');
  await verifications.oldest('check');
});
await db.close();
const figures: ScaleFigures = {
  routeP50Ms: times[Math.floor(ROUTES * 0.5)]!, routeP99Ms: times[Math.floor(ROUTES * 0.99)]!,
  reconcileMs, listMs, atRiskMs, conditionMs, countMs, peakBytes: process.resourceUsage().maxRSS * 1024,
};
console.log(JSON.stringify(figures));

async function took(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
