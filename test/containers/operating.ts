import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PATIENCE_MS, until } from '../cluster.ts';
import { attempt, run } from './commands.ts';
import type { Engine } from './engine.ts';
import { pushed } from './pushed.ts';
import { Stack } from './stack.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** What a build and a start of the stack need of a checkout. */
const CHECKOUT = ['.dockerignore', 'Dockerfile', 'docker-compose.yml', 'package.json', 'package-lock.json', 'controller', 'deploy', 'grafana', 'prisma', 'proto', 'replica'];
/** The page's own abbreviation, and no confirmation of what was begun before. */
const PRELUDE = 'set -euo pipefail\ntrivet() { docker compose exec -T controller1 trivet "$@"; }\n';

/** `docker compose` of today, spoken to Debian's older one. Grafana is the one service that there is no image for. */
const COMPOSE_SHIM = `#!/bin/bash
if [ "$1" != compose ]; then exec "$REAL_DOCKER" "$@"; fi
shift
if [ "$*" = 'up -d --build' ]; then set -- up -d --build --scale grafana=0; fi
exec docker-compose "$@"
`;

/** A block of the page that is run: the heading it stands under, with a number from the second on, and what it says. */
export interface Block { name: string; commands: string }

/** The blocks of docs/operating.md that are marked `tried`, in their order. */
export async function triedBlocks(): Promise<Block[]> {
  const blocks: Block[] = [];
  let heading = '';
  for (const [, title, commands] of (await readFile(join(ROOT, 'docs/operating.md'), 'utf8')).matchAll(/^#+ (.*)$|^```sh tried\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    else {
      const earlier = blocks.filter(({ name }) => name.replace(/, \d+$/, '') === heading).length;
      blocks.push({ name: earlier === 0 ? heading : `${heading}, ${earlier + 1}`, commands: commands! });
    }
  }
  return blocks;
}

/** What happens before and after each block, by its name. `known` is what an operator reads off a screen: blocks get it as variables. */
const STORY: Readonly<Record<string, { before?(stack: Stack, known: NodeJS.ProcessEnv): Promise<unknown>; after?(stack: Stack, known: NodeJS.ProcessEnv): Promise<unknown> }>> = {
  'With compose': { after: (stack) => pushed(stack, 'test') },
  'Restart a part': { after: (stack) => pushed(stack, 'test') },
  // Some of these have a replica on the new node.
  'Add a node': {
    async after(stack) {
      for (const repository of ['a', 'b', 'c', 'd']) {
        await stack.create(repository);
        await pushed(stack, repository);
      }
    },
  },
  'Remove a node': {
    async after(stack) {
      for (const repository of ['a', 'b', 'c', 'd']) {
        const { replicas } = await stack.converged(repository);
        assert.deepEqual(replicas.map(({ node }) => node).sort(), ['node1', 'node2', 'node3']);
      }
    },
  },
  'Change the token': { after: (stack) => pushed(stack, 'test') },
  'Backup': {
    async after(stack, known) {
      // What no dump has.
      known['tip'] = await pushed(stack, 'test');
      await stack.create('late');
      known['late'] = await pushed(stack, 'late');
      const { id, replicas } = await stack.show('late');
      Object.assign(known, { id, node: replicas[0]!.node });
    },
  },
  'SQL that is older than the disks, 2': {
    async before(stack) {
      await until(async () => (await stack.atRisk()).some(({ repository, kind }) => repository === 'test' && kind === 'unavailable'), PATIENCE_MS, () => 'nobody noticed that SQL is old');
    },
  },
  'A node is lost': {
    async before(stack, { tip, late }) {
      assert.equal(await stack.cloned('test'), tip);
      assert.equal(await stack.cloned('late'), late);
    },
    after: (stack) => pushed(stack, 'test'),
  },
  'SQL is lost': { after: (stack) => pushed(stack, 'test') },
  'The quorum is lost': { after: (stack) => pushed(stack, 'test') },
};

/** Runs the page on a stack of its own, in a checkout of its own, and removes both. */
export async function operate(engine: Engine, parent: string, say: (what: string, action: () => Promise<unknown>) => Promise<void>): Promise<void> {
  const stack = await Stack.make(engine, parent);
  const checkout = join(stack.directory, 'checkout');
  await mkdir(checkout);
  for (const part of CHECKOUT) await cp(join(ROOT, part), join(checkout, part), { recursive: true, filter: (path) => !/\/(node_modules|generated)$/.test(path) });
  const programs = join(stack.directory, 'programs');
  await mkdir(programs);
  await writeFile(join(programs, 'docker'), COMPOSE_SHIM);
  await chmod(join(programs, 'docker'), 0o755);
  const environment: NodeJS.ProcessEnv = {
    ...stack.environment,
    PATH: `${programs}:${process.env['PATH']}`,
    REAL_DOCKER: await run('sh', ['-c', 'command -v docker']),
    NPM_CONFIG_REGISTRY: await run('npm', ['config', 'get', 'registry'], { cwd: ROOT }),
  };
  // The page's own .env says these.
  for (const key of ['TRIVET_SECRETS', 'COMPOSE_PROJECT_NAME', 'COMPOSE_FILE']) delete environment[key];
  try {
    for (const { name, commands } of await triedBlocks()) {
      await say(`operating.md, "${name}"`, async () => {
        const story = STORY[name];
        await story?.before?.(stack, environment);
        // A change of any setting makes parts anew, as a change of the image would.
        if (name === 'Upgrade') environment['TRIVET_LOG_LEVEL'] = 'debug';
        const { code, stdout, stderr } = await attempt('bash', ['-c', PRELUDE + commands.replaceAll('127.0.0.1:8080', new URL(stack.url).host)], { cwd: checkout, environment });
        assert.equal(code, 0, `${commands}\n${stdout}${stderr}`);
        await story?.after?.(stack, environment);
      });
    }
  } catch (error) {
    console.log((await attempt('docker-compose', ['logs', '--no-color', '--tail', '30'], { cwd: checkout, environment })).stdout);
    throw error;
  } finally {
    await attempt('docker-compose', ['down', '--volumes', '--timeout', '10'], { cwd: checkout, environment });
    await stack.removeFiles();
  }
}
