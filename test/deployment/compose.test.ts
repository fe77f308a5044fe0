import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { documentedSettings } from '@trivet/proto/documented-settings.ts';
import { hasProgram } from '../programs.ts';
import { complaints, type ComposeFile, type ComposeService } from './compose-rules.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const read = () => parse(text, { merge: true }) as ComposeFile;

/** Trivet's own image names a user and a health check; this is what the Dockerfile is asked for below. */
const isTrivet = (service: ComposeService) => service.image?.includes('trivet:latest') === true;

test('every service is held to the rules for production', (t) => {
  t.deepEqual(complaints(read(), isTrivet), []);
});

test('a fourth node is held to the same rules, and differs from the third in its name, zone and disk alone', (t) => {
  const file = read();
  const more = parse(readFileSync(join(ROOT, 'deploy/compose/node4.yml'), 'utf8'), { merge: true }) as ComposeFile;
  t.deepEqual(complaints({ ...file, services: more.services, volumes: more.volumes }, isTrivet), []);
  const { build: _, ...third } = file.services['node3'] as ComposeService & { build: unknown };
  const renamed = JSON.parse(JSON.stringify(third).replaceAll('node3', 'node4').replace('zone3', 'zone1')) as ComposeService;
  t.deepEqual(more.services, { node4: renamed });
});

const BROKEN: readonly [what: string, complaint: string, breakIt: (file: ComposeFile) => void][] = [
  ['runs as root', 'mysql: may run as root', (file) => { delete file.services['mysql']!.user; }],
  ['runs as root by number', 'mysql: may run as root', (file) => { file.services['mysql']!.user = '0:0'; }],
  ['writes to its root', 'node1: can write to its root file system', (file) => { file.services['node1']!.read_only = false; }],
  ['keeps its capabilities', 'node2: has capabilities', (file) => { delete file.services['node2']!.cap_drop; }],
  ['takes a capability', 'node2: has capabilities', (file) => { file.services['node2']!.cap_add = ['NET_ADMIN']; }],
  ['is privileged', 'node3: is privileged', (file) => { file.services['node3']!.privileged = true; }],
  ['may gain rights', 'grafana: can gain rights', (file) => { file.services['grafana']!.security_opt = []; }],
  ['is on the machine\'s network', 'node1: is on no network of its own choice', (file) => { file.services['node1']!.network_mode = 'host'; }],
  ['publishes a database', 'mysql: publishes ["3306:3306"]', (file) => { file.services['mysql']!.ports = ['3306:3306']; }],
  ['publishes to everybody', 'balancer: publishes ["8080:8080"]', (file) => { file.services['balancer']!.ports = ['8080:8080']; }],
  ['has no health check', 'balancer: has no health check', (file) => { delete file.services['balancer']!.healthcheck; }],
  ['does not wait', 'controller1: starts before mysql is healthy', (file) => { file.services['controller1']!.depends_on = { mysql: { condition: 'service_started' } }; }],
  ['has a password in its environment', 'mysql: has MYSQL_PASSWORD in its environment', (file) => { file.services['mysql']!.environment!['MYSQL_PASSWORD'] = 'trivet'; }],
  ['has a default token', 'secret token: has a default', (file) => { file.secrets!['token']!.file = './token'; }],
  ['may be without secrets', 'secret store: has a default', (file) => { file.secrets!['store']!.file = '${TRIVET_SECRETS:-./secrets}/store'; }],
  ['names a secret it is not given', 'node1: is not given /run/secrets/token', (file) => { file.services['node1']!.secrets = []; }],
  ['logs for ever', 'node1: logs without bound', (file) => { delete file.services['node1']!.logging; }],
  ['takes all memory', 'node1: has no bound of memory, processors or processes', (file) => { delete file.services['node1']!.mem_limit; }],
  ['mounts the engine', 'prometheus: mounts /var/run/docker.sock:/var/run/docker.sock', (file) => { file.services['prometheus']!.volumes = ['/var/run/docker.sock:/var/run/docker.sock']; }],
  ['can change its own settings', 'balancer: mounts ./deploy/x:/x', (file) => { file.services['balancer']!.volumes = ['./deploy/x:/x']; }],
  ['runs whatever is newest', 'mysql: runs an image without a version', (file) => { file.services['mysql']!.image = 'mysql'; }],
  ['lets the database out', 'network store: leads outside', (file) => { file.networks!['store'] = {}; }],
];

for (const [what, complaint, breakIt] of BROKEN) {
  test(`control: a service that ${what} is found`, (t) => {
    const file = read();
    breakIt(file);
    t.deepEqual(complaints(file, isTrivet), [complaint]);
  });
}

test('there are two controllers behind a balancer and three nodes in three zones', (t) => {
  const { services } = read();
  const nodes = Object.entries(services).filter(([name]) => name.startsWith('node'));
  const values = (key: string) => nodes.map(([, service]) => service.environment?.[key]);
  t.deepEqual(values('TRIVET_NODE'), nodes.map(([name]) => name));
  t.deepEqual(values('TRIVET_URL'), nodes.map(([name]) => `http://${name}:8082`));
  t.is(new Set(values('TRIVET_ZONE')).size, 3);
  t.is(new Set(nodes.map(([, service]) => service.volumes?.[0])).size, 3);
  t.deepEqual(Object.keys(services).filter((name) => name.startsWith('controller')), ['controller1', 'controller2']);
  t.is(new Set([services['controller1'], services['controller2']].map((service) => service?.environment?.['TRIVET_CONTROLLER_NAME'])).size, 2);
  t.deepEqual(Object.keys(services['balancer']!.depends_on!), ['controller1', 'controller2', 'node1', 'node2', 'node3']);
});

test('every setting of Trivet in it is one that is documented for its role', (t) => {
  for (const [name, service] of Object.entries(read().services).filter(([, { image }]) => image?.includes('trivet:latest'))) {
    const known = documentedSettings(name.startsWith('node') ? 'Node' : 'Controller');
    t.deepEqual(Object.keys(service.environment ?? {}).filter((key) => key.startsWith('TRIVET_') && !known.has(key)), [], name);
  }
});

test('a controller and a node are left more time to stop than they take', (t) => {
  const grace = (name: string) => Number(/^(\d+)s$/.exec(read().services[name]!.stop_grace_period!)![1]) * 1_000;
  for (const [program, name] of [['Controller', 'controller1'], ['Node', 'node1']] as const) {
    const settings = documentedSettings(program);
    t.true(grace(name) > Number(settings.get('TRIVET_STOP_MS')) + Number(settings.get('TRIVET_STOP_DELAY_MS')));
  }
});

test('the image runs without root, knows how it is, and takes signals', (t) => {
  t.regex(dockerfile, /^USER [1-9]\d*:[1-9]\d*$/m);
  t.regex(dockerfile, /^HEALTHCHECK .* CMD \[/m);
  t.regex(dockerfile, /^ENTRYPOINT \["tini", "--"/m);
  t.regex(dockerfile, /npm ci --omit=dev/);
  t.regex(readFileSync(join(ROOT, '.dockerignore'), 'utf8'), /^\*$/m);
});

(hasProgram('docker-compose') ? test : test.skip)('docker-compose takes the file with secrets, and refuses it without, saying what makes them', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-compose-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  // Not what .env of this checkout says.
  const noSettings = join(directory, 'settings');
  writeFileSync(noSettings, '');
  const config = (environment: Record<string, string>) => spawnSync('docker-compose', ['--file', join(ROOT, 'docker-compose.yml'), '--project-directory', ROOT, '--env-file', noSettings, 'config', '-q'], {
    env: { PATH: process.env['PATH'], HOME: directory, ...environment }, encoding: 'utf8',
  });
  const taken = config({ TRIVET_SECRETS: directory });
  t.is(taken.status, 0, taken.stderr);
  const refused = config({});
  t.not(refused.status, 0);
  t.regex(refused.stderr, /make-secrets\.sh/);
});
