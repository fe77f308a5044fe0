import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Load for each core from which on a run is no fair one: a judgement, not a measurement. */
const BUSY_SHARE = 0.5;

/** What the figures were taken on. */
export interface Machine {
  cores: number;
  cpu: string;
  memoryGiB: number;
  kernel: string;
  git: string;
  node: string;
  fileSystem: string;
  /** Of the minute before: work of others, which the figures suffer from. */
  loadAverage: number;
}

/** @param directory where the servers keep their data, whose file system is named */
export async function describeMachine(directory: string, environment: NodeJS.ProcessEnv): Promise<Machine> {
  const { stdout } = await run('git', ['version'], { env: environment });
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    git: stdout.replace('git version', '').trim(),
    node: process.versions.node,
    fileSystem: fileSystemOf(directory, await readFile('/proc/self/mounts', 'utf8')),
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** The machine in one line. */
export function machineLine(machine: Machine): string {
  return `${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Linux ${machine.kernel}, `
    + `git ${machine.git}, node ${machine.node}, ${machine.fileSystem}`;
}

/** A warning when others kept the machine so busy before the bench that its figures say little; else undefined. */
export function busyWarning(machine: Machine): string | undefined {
  if (machine.loadAverage <= machine.cores * BUSY_SHARE) return undefined;
  return `WARNING: the machine was busy before the bench began (load average ${machine.loadAverage.toFixed(1)} on `
    + `${machine.cores} cores); don't quote these figures`;
}

/** Bytes that may still be written where `directory` is. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** The type of the file system that holds `path`: that of the longest mount point above it (proc_pid_mounts(5)). */
export function fileSystemOf(path: string, mounts: string): string {
  let best = { point: '', type: 'unknown file system' };
  for (const line of mounts.split('\n')) {
    const [, point = '', type = ''] = line.split(' ');
    const above = point === '/' || path === point || path.startsWith(`${point}/`);
    // A later mount hides an earlier one on the same point.
    if (point !== '' && above && point.length >= best.point.length) best = { point, type };
  }
  return best.type;
}
