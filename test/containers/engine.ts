import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../cluster.ts';
import { hasProgram } from '../programs.ts';
import { attempt } from './commands.ts';

const BRIDGE = '/sys/class/net/docker0';
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 30_000;

/** Programs of the tests with containers, and the Debian package of each. */
const NEEDS: readonly { program: string; debianPackage: string }[] = [
  { program: 'dockerd', debianPackage: 'docker.io' },
  { program: 'docker', debianPackage: 'docker.io' },
  { program: 'docker-compose', debianPackage: 'docker-compose' },
  { program: 'iptables', debianPackage: 'iptables' },
  { program: 'mmdebstrap', debianPackage: 'mmdebstrap' },
];

/** Why no engine can be started on this machine; undefined when it can be tried. */
export function whyNoEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'starting a container engine takes root rights';
  const missing = NEEDS.filter(({ program }) => !hasProgram(program));
  if (missing.length > 0) return `missing: ${missing.map((need) => `${need.program} (Debian: ${need.debianPackage})`).join(', ')}`;
  return undefined;
}

/** A private container engine: its images, containers and socket are in one directory, and it ends with the test. */
export class Engine {
  readonly environment: NodeJS.ProcessEnv;
  readonly #daemon: ChildProcess;
  readonly #directory: string;
  /** Whether the machine's default bridge was there before, for another engine. */
  readonly #hadBridge: boolean;

  private constructor(daemon: ChildProcess, directory: string, hadBridge: boolean, environment: NodeJS.ProcessEnv) {
    this.#daemon = daemon;
    this.#directory = directory;
    this.#hadBridge = hadBridge;
    this.environment = environment;
  }

  /** @throws Error with the end of the engine's log when it doesn't come up, as in a container without rights */
  static async start(directory: string): Promise<Engine> {
    await mkdir(directory, { recursive: true });
    const hadBridge = existsSync(BRIDGE);
    const socket = `unix://${join(directory, 'socket')}`;
    const logPath = join(directory, 'log');
    const log = await open(logPath, 'w');
    const daemon = spawn('dockerd', [
      '--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec'), '--pidfile', join(directory, 'pid'), '--host', socket,
    ], { stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    // The classic builder: the newer one is a program of its own that Debian's engine doesn't bring.
    const environment = { ...process.env, DOCKER_HOST: socket, DOCKER_BUILDKIT: '0', COMPOSE_DOCKER_CLI_BUILD: '0' };
    const engine = new Engine(daemon, directory, hadBridge, environment);
    try {
      await until(async () => daemon.exitCode !== null || (await attempt('docker', ['info'], { environment })).code === 0, START_DEADLINE_MS, () => 'dockerd does not answer');
      if (daemon.exitCode !== null) throw new Error(`dockerd ended with ${daemon.exitCode}`);
      return engine;
    } catch (error) {
      await engine.stop();
      throw new Error(`${(error as Error).message}\n${(await attempt('tail', ['-n', '5', logPath])).stdout}`);
    }
  }

  /** Ends the engine, and takes away what engines leave: a mount in their directory, and the default bridge. */
  async stop(): Promise<void> {
    if (this.#daemon.exitCode === null && this.#daemon.signalCode === null) {
      const ended = once(this.#daemon, 'exit');
      this.#daemon.kill('SIGTERM');
      const killer = setTimeout(() => this.#daemon.kill('SIGKILL'), STOP_DEADLINE_MS);
      await ended;
      clearTimeout(killer);
    }
    await attempt('umount', [join(this.#directory, 'exec', 'netns', 'default')]);
    if (!this.#hadBridge) await attempt('ip', ['link', 'delete', 'docker0']);
  }
}
