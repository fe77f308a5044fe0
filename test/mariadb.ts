import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import mysql from 'mysql2/promise';

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 20_000;
const POLL_MS = 50;

/** A private MariaDB of one test file. */
export interface MariaDb {
  /** An empty database of its own, as root without a password. */
  url: string;
  /** Of the server that runs, or ran last. */
  readonly pid: number;
  /** Makes another empty database and gives its URL. */
  createDatabase(name: string): Promise<string>;
  /** SIGKILL, even to one that was stopped. What it had not written is lost, what it had committed is not. */
  kill(): Promise<void>;
  /** Starts it again on the same data after `kill`, on the same port or another, and waits until it answers. */
  startAgain(onPort?: number): Promise<void>;
  /** Ends the server, even one that was stopped or killed, and removes its files. */
  stop(): Promise<void>;
}

/** Whether this machine has what `startMariaDb` needs. */
export function mariadbHere(): boolean {
  return ['mariadbd', 'mariadb-install-db'].every((program) => (
    searchPath().some((folder) => existsSync(join(folder, program)))));
}

/**
 * Starts a server on the loopback interface, its data in a temporary folder. Takes about 3 s.
 * @param port where to listen; some free one without it. Who means to kill and start it again gives one below the range
 * that outgoing connections are numbered from: nobody takes that meanwhile
 * @param options arguments of the server beside the necessary ones
 */
export async function startMariaDb(port?: number, options: readonly string[] = []): Promise<MariaDb> {
  if (!mariadbHere()) throw new Error('mariadbd is not installed here (Debian: mariadb-server)');
  const folder = await mkdtemp(join(tmpdir(), 'trivet-mariadb-'));
  const data = join(folder, 'data');
  // As root it refuses to run unless it is told that this is meant.
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  await promisify(execFile)('mariadb-install-db', [
    '--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', ...user,
  ], { env: environmentIn(folder) });
  port ??= await freePort();
  const launch = () => spawn('mariadbd', [
    '--no-defaults', `--datadir=${data}`, `--socket=${join(folder, 's.sock')}`, '--bind-address=127.0.0.1',
    `--port=${port}`, '--skip-log-bin', '--innodb-buffer-pool-size=32M', ...user, ...options,
  ], { stdio: 'ignore', env: environmentIn(folder) });
  let server = launch();
  // Whatever becomes of the test's process, the server doesn't outlive it.
  const killNow = () => void server.kill('SIGKILL');
  process.once('exit', killNow);
  const stop = async () => {
    await end(server, folder);
    process.off('exit', killNow);
  };
  const kill = async () => {
    if (hasEnded(server)) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  };
  let address = `mysql://root@127.0.0.1:${port}`;
  const startAgain = async (onPort?: number) => {
    port = onPort ?? port!;
    address = `mysql://root@127.0.0.1:${port}`;
    server = launch();
    await untilReady(server, `${address}/mysql`);
  };
  const createDatabase = async (name: string) => {
    const connection = await mysql.createConnection(`${address}/mysql`);
    await connection.query(`CREATE DATABASE \`${name}\``);
    await connection.end();
    return `${address}/${name}`;
  };
  try {
    await untilReady(server, `${address}/mysql`);
    return { url: await createDatabase('trivet'), get pid() { return server.pid!; }, createDatabase, kill, startAgain, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilReady(server: ChildProcess, url: string): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    if (hasEnded(server)) throw new Error('mariadbd ended while it was starting');
    try {
      const connection = await mysql.createConnection(url);
      await connection.end();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}

async function end(server: ChildProcess, folder: string): Promise<void> {
  if (!hasEnded(server)) {
    const ended = once(server, 'exit');
    // A test may have stopped it, and then only SIGKILL reaches it.
    server.kill('SIGCONT');
    server.kill('SIGTERM');
    const killer = setTimeout(() => server.kill('SIGKILL'), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(killer);
  }
  await rm(folder, { recursive: true, force: true });
}

function hasEnded(server: ChildProcess): boolean {
  return server.exitCode !== null || server.signalCode !== null;
}

/** Debian keeps the server in /usr/sbin, which isn't on everybody's PATH. */
function searchPath(): string[] {
  return [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'].filter((folder) => folder !== '');
}

/** A server that starts removes what it takes for its own leftovers in the temporary directory: each gets one to itself. */
function environmentIn(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, PATH: searchPath().join(':'), TMPDIR: folder };
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port to be had');
  return address.port;
}
