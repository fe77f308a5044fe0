import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openDatabase } from '../../controller/store/database.ts';
import { startMariaDb } from '../../test/mariadb.ts';
import type { Row } from '../measure.ts';
import type { ReliabilityMeasure } from '../reliability/measure.ts';
import type { ScaleFigures } from './measure-scale.ts';
import { fillRows, NODES } from './rows.ts';

const PROGRAM = join(import.meta.dirname, 'measure-scale.ts');
const MIB = 1024 * 1024;

/** What SQL and the controller's memory cost with very many repositories. */
export const scale: ReliabilityMeasure = async (bench) => {
  const repositories = bench.quick ? 10_000 : 100_000;
  const server = await startMariaDb(undefined, ['--innodb-buffer-pool-size=512M']);
  bench.cleanup.add(() => server.stop());
  bench.progress(`scale: making up ${repositories} repositories on ${NODES} nodes`);
  const db = await openDatabase(server.url, { deadlineMs: 600_000 });
  await fillRows(db, repositories);
  await db.close();
  bench.progress('scale: measuring');
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-semi-space-size=8', PROGRAM, server.url, String(repositories)], { env: bench.environment });
  const figures = JSON.parse(stdout) as ScaleFigures;
  const row = (what: string, unit: Row['unit'], value: number, must?: number): Row => ({
    measure: 'scale', what, unit, better: 'lower', summary: 'median', rounds: { subject: [value] }, ...(must === undefined ? {} : { must: { value: must } }),
  });
  return [
    row('route of a repository, p50', 'ms', figures.routeP50Ms),
    row('route of a repository, p99', 'ms', figures.routeP99Ms, 3),
    row('a whole reconcile pass', 's', figures.reconcileMs / 1_000, 30),
    row('a page of 100 repositories', 'ms', figures.listMs),
    row('repositories at risk, one node down', 'ms', figures.atRiskMs),
    row('what the metrics ask every 5 s', 'ms', figures.conditionMs),
    row('what they ask every minute', 'ms', figures.countMs),
    row('peak memory', 'MiB', figures.peakBytes / MIB, 300),
  ];
};
