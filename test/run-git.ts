import { execFile } from 'node:child_process';

export interface GitResult { code: number; stdout: string; stderr: string }

/** Runs stock git with an identity, no configuration of the machine's, and no prompt. */
export function runGit(cwd: string, args: readonly string[], environment: Record<string, string> = {}): Promise<GitResult> {
  const env = {
    PATH: process.env['PATH'], HOME: cwd, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org', ...environment,
  };
  return new Promise((done) => {
    execFile('git', args, { cwd, env, maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 128, stdout, stderr });
    });
  });
}
