import { execFile } from 'node:child_process';

/** What `git --version` says, without the words before; empty where there is no answer. */
export function gitVersion(): Promise<string> {
  return new Promise((resolve) => {
    execFile('git', ['--version'], (error, stdout) => resolve(error === null ? stdout.trim().replace(/^git version /, '').slice(0, 100) : ''));
  });
}
