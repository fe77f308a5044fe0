import assert from 'node:assert/strict';
import { PATIENCE_MS, until } from '../cluster.ts';
import { pushed } from './pushed.ts';
import { SERVICES, type Stack } from './stack.ts';

/** What is done to the stack, in order; each step throws when something doesn't hold. */
export const STEPS: readonly (readonly [name: string, step: (stack: Stack) => Promise<void>])[] = [
  ['compose refuses to start without secrets, and says how to make them', async (stack) => {
    const result = await stack.tryCompose({ TRIVET_SECRETS: undefined }, 'up', '-d', ...SERVICES);
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, /make-secrets\.sh/);
    assert.equal(await stack.docker('ps', '--all', '--quiet'), '');
  }],
  ['the stack comes up, each part when those it needs are healthy', async (stack) => {
    await stack.compose('up', '-d', '--no-build', ...SERVICES);
    for (const service of SERVICES) {
      await until(async () => await stack.docker('inspect', '--format', '{{.State.Health.Status}}', stack.container(service)) === 'healthy', PATIENCE_MS, () => `${service} is not healthy`);
    }
  }],
  ['every container runs without root, capabilities or a disk to write to', async (stack) => {
    for (const service of SERVICES) {
      const status = await stack.docker('exec', stack.container(service), 'cat', '/proc/1/status');
      assert.match(status, /^Uid:\s+[1-9]/m, service);
      assert.match(status, /^CapBnd:\s+0+$/m, service);
      assert.match(status, /^NoNewPrivs:\s+1$/m, service);
      for (const path of ['/file', '/usr/file', '/etc/file']) {
        assert.notEqual((await stack.tryDocker('exec', stack.container(service), 'touch', path)).code, 0, `${service} ${path}`);
      }
    }
  }],
  ['no secret is in an environment, a command line or a log', async (stack) => {
    const shown = [await stack.logs(), ...await Promise.all(SERVICES.map((service) => stack.docker('inspect', stack.container(service))))].join('\n');
    for (const name of ['token', 'store', 'mysql_password', 'mysql_root_password']) {
      assert.ok(!shown.includes(await stack.secret(name)), name);
    }
  }],
  ['a push and a clone go through the load balancer', async (stack) => {
    await stack.create('org/test');
    await pushed(stack, 'org/test');
  }],
  ['what is between the parts can not be asked through the load balancer', async (stack) => {
    for (const path of ['/internal/handshake', '/INTERNAL/handshake', '/%69nternal/handshake', '/metrics']) {
      assert.equal((await fetch(stack.url + path, { method: 'POST' })).status, 404, path);
    }
  }],
  ['a node\'s container is killed, and the next push and clone go through', async (stack) => {
    await stack.docker('kill', stack.container('node2'));
    await pushed(stack, 'org/test');
    const { replicas } = await stack.show('org/test');
    assert.deepEqual(replicas.filter(({ state }) => state !== 'current').map(({ node }) => node), ['node2']);
  }],
  ['the node comes back and is made equal', async (stack) => {
    await stack.docker('start', stack.container('node2'));
    const { replicas } = await stack.converged('org/test');
    assert.equal(replicas.length, 3);
  }],
  ['a controller is stopped, and the other takes pushes and clones', async (stack) => {
    for (const service of ['controller1', 'controller2'] as const) {
      await stack.docker('stop', '--time', '40', stack.container(service));
      assert.equal(await stack.docker('inspect', '--format', '{{.State.ExitCode}}', stack.container(service)), '0');
      await pushed(stack, 'org/test');
      await stack.docker('start', stack.container(service));
      await until(async () => await stack.docker('inspect', '--format', '{{.State.Health.Status}}', stack.container(service)) === 'healthy', PATIENCE_MS, () => `${service} is not healthy`);
    }
  }],
  ['everything is made anew from its volumes, and nothing is lost', async (stack) => {
    const before = await stack.show('org/test');
    await stack.compose('down', '--timeout', '40');
    await stack.compose('up', '-d', '--no-build', ...SERVICES);
    const after = await stack.converged('org/test');
    assert.equal(after.digest, before.digest);
    await pushed(stack, 'org/test');
  }],
  ['the command line in the image says that nothing is at risk', async (stack) => {
    await stack.converged('org/test');
    assert.equal(await stack.docker('exec', stack.container('controller1'), 'trivet', 'at-risk'), 'Nothing is at risk.');
  }],
  ['Prometheus reaches every part', async (stack) => {
    let targets: { scrapeUrl: string; health: string }[] = [];
    await until(async () => {
      const answer = await stack.docker('exec', stack.container('prometheus'), 'wget', '-q', '-O', '-', 'http://127.0.0.1:9090/api/v1/targets');
      targets = (JSON.parse(answer) as { data: { activeTargets: typeof targets } }).data.activeTargets;
      return targets.every(({ health }) => health === 'up');
    }, PATIENCE_MS, () => JSON.stringify(targets));
    assert.equal(targets.length, 7);
  }],
];
