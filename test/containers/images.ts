import { cp, mkdir, rm } from 'node:fs/promises';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { attempt, run } from './commands.ts';
import type { Engine } from './engine.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
/** What the parts of docker-compose.yml run, beside Node; everything is in one image, which is quicker than four. */
const PACKAGES = ['busybox', 'ca-certificates', 'git', 'haproxy', 'mariadb-client', 'mariadb-server', 'passwd', 'prometheus', 'tini', 'util-linux'];

/** Settings of docker-compose.yml that put stand-ins in the place of official images. */
export const STAND_INS = {
  TRIVET_BASE_IMAGE: 'stand-in:node',
  TRIVET_MYSQL_IMAGE: 'stand-in:mysql',
  TRIVET_HAPROXY_IMAGE: 'stand-in:haproxy',
  TRIVET_PROMETHEUS_IMAGE: 'stand-in:prometheus',
} as const;

/** Makes the stand-ins from Debian's packages and this machine's Node, unless the engine has them. */
export async function makeStandIns(engine: Engine, directory: string): Promise<void> {
  const { environment } = engine;
  if ((await attempt('docker', ['image', 'inspect', 'debian:import'], { environment })).code !== 0) {
    const archive = join(directory, 'debian.tar');
    await run('mmdebstrap', ['--quiet', '--variant=minbase', `--include=${PACKAGES.join(',')}`, 'bookworm', archive]);
    await run('docker', ['import', archive, 'debian:import'], { environment });
    await rm(archive);
  }
  const context = join(directory, 'stand-in');
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  await cp(join(import.meta.dirname, 'stand-in'), context, { recursive: true });
  await cp(realpathSync(process.execPath), join(context, 'node'));
  await cp(await npmDirectory(), join(context, 'npm'), { recursive: true, dereference: true });
  await cp(AUTHORITIES, join(context, 'authorities.crt'));
  for (const image of Object.values(STAND_INS)) {
    await run('docker', ['build', '--target', image.split(':')[1]!, '--tag', image, context], { environment });
  }
  await rm(context, { recursive: true });
}

/** Builds Trivet's image as docker-compose.yml does. `--network host`: a machine's own registry may be on loopback. */
export async function buildTrivet(engine: Engine): Promise<void> {
  const registry = await run('npm', ['config', 'get', 'registry'], { cwd: ROOT });
  await run('docker', [
    'build', '--network', 'host', '--build-arg', `BASE=${STAND_INS.TRIVET_BASE_IMAGE}`, '--build-arg', `NPM_CONFIG_REGISTRY=${registry}`, '--tag', 'trivet:latest', ROOT,
  ], { environment: engine.environment });
}

/** Where the npm lives that this machine runs. */
async function npmDirectory(): Promise<string> {
  const program = await run('sh', ['-c', 'command -v npm']);
  for (let directory = dirname(realpathSync(program)); directory !== '/'; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory;
  }
  throw new Error(`no package around ${program}`);
}
