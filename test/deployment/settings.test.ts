import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { documentedSettings } from '@trivet/proto/documented-settings.ts';
import { hasProgram } from '../programs.ts';
import type { ComposeFile } from './compose-rules.ts';

const ROOT = resolve(import.meta.dirname, '../..');

function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-deployment-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

function run(program: string, args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } });
  return { status, output: `${stdout}${stderr}` };
}

test('secrets are made once, differ, are closed to others, and are all that the compose file asks for', (t) => {
  const directory = join(temporaryDirectory(t), 'secrets');
  const made = run('deploy/make-secrets.sh', [directory]);
  t.is(made.output, `TRIVET_SECRETS=${directory}\n`);
  t.is(statSync(directory).mode & 0o777, 0o700);
  const compose = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as ComposeFile;
  const names = Object.keys(compose.secrets!);
  const read = () => names.map((name) => readFileSync(join(directory, name), 'utf8'));
  const secrets = read();
  t.is(new Set(secrets).size, names.length);
  for (const secret of secrets) t.regex(secret, /^(mysql:\/\/trivet:[0-9a-f]{48}@mysql:3306\/trivet|[0-9a-f]{48})$/);
  t.true(secrets[names.indexOf('store')]!.includes(`:${secrets[names.indexOf('mysql_password')]}@`));
  run('deploy/make-secrets.sh', [directory]);
  t.deepEqual(read(), secrets);
  t.is(run('deploy/make-secrets.sh', []).status, 2);
});

test('the entry point of the image says what it can do when it is told nothing it knows', (t) => {
  for (const args of [[], ['node'], ['sh']]) {
    const { status, output } = run('deploy/container/entrypoint.sh', args);
    t.is(status, 2);
    t.regex(output, /^usage: controller \| replica/);
  }
});

test('the health check tells 200 from any other answer and from none, at the path it is given', async (t) => {
  const server = createServer((request, response) => response.writeHead(request.url === '/readyz' ? 503 : 200).end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = String((server.address() as AddressInfo).port);
  const check = (...args: string[]) => new Promise<number | null>((done) => {
    spawn('deploy/container/entrypoint.sh', ['healthcheck', ...args], { cwd: ROOT, env: { PATH: process.env['PATH'], TRIVET_PORT: port }, stdio: 'ignore' }).once('close', done);
  });
  t.is(await check(), 0);
  t.is(await check('/readyz'), 1);
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  t.is(await check(), 1);
});

(hasProgram('haproxy') ? test : test.skip)('HAProxy takes the settings of the load balancer', (t) => {
  const taken = run('haproxy', ['-c', '-f', 'deploy/compose/haproxy.cfg']);
  t.is(taken.status, 0, taken.output);
  const broken = join(temporaryDirectory(t), 'haproxy.cfg');
  writeFileSync(broken, readFileSync(join(ROOT, 'deploy/compose/haproxy.cfg'), 'utf8').replace('option redispatch', 'option redispach'));
  t.not(run('haproxy', ['-c', '-f', broken]).status, 0);
});

test('the load balancer notices that a controller stops while that still serves, and is patient for as long as a vote may take', (t) => {
  const settings = readFileSync(join(ROOT, 'deploy/compose/haproxy.cfg'), 'utf8');
  const [, inter, fall] = /default-server check inter (\d+)s fall (\d+)/.exec(settings)!.map(Number);
  t.true(inter! * fall! * 1_000 < Number(documentedSettings('Controller').get('TRIVET_STOP_DELAY_MS')));
  const patience = (side: string) => Number(new RegExp(`timeout ${side} (\\d+)h`).exec(settings)![1]) * 3_600_000;
  for (const side of ['client', 'server']) t.true(patience(side) >= Number(documentedSettings('Controller').get('TRIVET_VOTE_MS')));
});

(hasProgram('promtool') ? test : test.skip)('Prometheus takes its settings, and scrapes every part that has metrics', (t) => {
  const taken = run('promtool', ['check', 'config', 'grafana/prometheus/prometheus.yml']);
  t.is(taken.status, 0, taken.output);
  const { scrape_configs: jobs } = parse(readFileSync(join(ROOT, 'grafana/prometheus/prometheus.yml'), 'utf8')) as { scrape_configs: { static_configs: { targets: string[] }[] }[] };
  const targets = jobs.flatMap((job) => job.static_configs.flatMap((part) => part.targets)).map((target) => target.split(':')[0]);
  t.deepEqual(targets.sort(), ['balancer', 'controller1', 'controller2', 'localhost', 'node1', 'node2', 'node3']);
});

for (const unit of ['trivet-controller.service', 'trivet-node.service']) {
  (hasProgram('systemd-analyze') ? test : test.skip)(`systemd understands every line of ${unit}`, (t) => {
    const text = readFileSync(join(ROOT, 'deploy/systemd', unit), 'utf8');
    const verify = (content: string) => {
      // As it would be on a machine where Trivet is installed and has its user.
      const path = join(temporaryDirectory(t), unit);
      writeFileSync(path, content.replaceAll('/opt/trivet', ROOT).replace('/usr/bin/node', process.execPath).replace(/^(User|Group)=.*$/gm, '$1=root'));
      return run('systemd-analyze', ['verify', '--man=no', path]).output.split('\n').filter((line) => line.includes(unit));
    };
    t.deepEqual(verify(text), []);
    t.is(verify(text.replace('NoNewPrivileges', 'NoNewPriviledges')).length, 1);
  });
}
