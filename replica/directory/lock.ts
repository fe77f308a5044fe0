import { spawn } from 'node:child_process';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'node.lock';

/** Another process uses the directory, or it can't be known whether one does. */
export class DirectoryInUse extends Error {}

/**
 * Takes the data directory for this process alone, until `close` or its end, however that comes.
 *
 * flock(2) belongs to the open file, not to the process that asked for it: `flock` of util-linux locks the one it is given
 * here and ends, and the lock stays with the file that this process has open. The kernel gives it up when the last process
 * that has the file open is gone, so after kill -9 or a loss of power there is nothing to clear away. Processes started from
 * here don't inherit the file.
 * @throws DirectoryInUse
 */
export async function lockDirectory(directory: string): Promise<FileHandle> {
  const path = join(directory, FILE);
  const file = await open(path, 'a', 0o600);
  try {
    const status = await flock(file.fd);
    if (status === IN_USE) throw new DirectoryInUse(`another process uses the data directory ${directory} (it holds ${path})`);
    if (status !== 0) throw new DirectoryInUse(`can not lock ${path}: flock ended with ${status}`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What flock(1) is told to end with when somebody else has the lock. */
const IN_USE = 75;

function flock(fd: number): Promise<number | string> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['--nonblock', '--conflict-exit-code', String(IN_USE), '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', (error) => reject(new DirectoryInUse('can not lock the data directory: the program flock of util-linux is not there', { cause: error })));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
}
