import { spawn } from 'node:child_process';

/** A client gives up after so long: far more than any deadline of the cluster, so that it is a fault that kept it. */
const PATIENCE_MS = 60_000;
/** Nothing at all for so long, and git itself gives up. */
const SILENCE_SECONDS = 30;

export interface GitResult { code: number; stdout: string; stderr: string; gaveUp: boolean }

/** Running gits, each the head of a process group. They don't outlive this process. */
const RUNNING = new Set<number>();
process.on('exit', () => { for (const pid of RUNNING) endGroup(pid); });

/** Runs stock git as a client with no configuration but its own. Its whole process group is ended when it takes too long. */
export function git(cwd: string, args: readonly string[], environment: Record<string, string> = {}): Promise<GitResult> {
  const env = {
    PATH: process.env['PATH'], HOME: cwd, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', GIT_ALLOW_PROTOCOL: 'http', ...environment,
  };
  const settings = ['-c', `http.lowSpeedLimit=1`, '-c', `http.lowSpeedTime=${SILENCE_SECONDS}`, '-c', 'gc.auto=0', '-c', 'maintenance.auto=false'];
  return new Promise((resolve, reject) => {
    const child = spawn('git', [...settings, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    child.once('error', reject);
    const { pid } = child;
    if (pid === undefined) return;
    RUNNING.add(pid);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let gaveUp = false;
    child.stdout.on('data', (chunk: Buffer) => { out.push(chunk); });
    child.stderr.on('data', (chunk: Buffer) => { err.push(chunk); });
    const timer = setTimeout(() => {
      gaveUp = true;
      endGroup(pid);
    }, PATIENCE_MS);
    child.once('close', (code) => {
      clearTimeout(timer);
      RUNNING.delete(pid);
      resolve({ code: code ?? 128, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString(), gaveUp });
    });
  });
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
