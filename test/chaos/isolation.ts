import { spawn, spawnSync } from 'node:child_process';

const INSIDE = 'TRIVET_CHAOS_INSIDE';
const UNSHARE = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/**
 * Runs this program once more in mount and process namespaces of its own, where that can be had: however it ends, the kernel
 * ends its processes and takes its mounts away. Without root rights it goes on as it is, and cleans up as well as it can.
 * @returns the exit status of the inner one; undefined when this is the inner one, or the only one
 */
export async function runIsolated(): Promise<number | undefined> {
  if (process.env[INSIDE] !== undefined || spawnSync('unshare', [...UNSHARE, 'true']).status !== 0) return undefined;
  // A shell is the first process there: it takes in orphans, which Node doesn't.
  const child = spawn('unshare', [...UNSHARE, 'sh', '-c', '"$@"; exit $?', 'sh', process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' },
  });
  const end = () => child.kill('SIGKILL');
  process.on('exit', end);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  return new Promise((resolve) => { child.once('exit', (code) => resolve(code ?? 1)); });
}
