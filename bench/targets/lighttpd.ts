import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PLACES = ['/usr/sbin/lighttpd', '/usr/local/sbin/lighttpd', '/usr/bin/lighttpd', '/usr/local/bin/lighttpd'];

/**
 * The path of lighttpd. Installs Debian's package when there is none and we may.
 * Throws Error saying what is missing otherwise.
 */
export async function findLighttpd(environment: NodeJS.ProcessEnv, progress: (text: string) => void): Promise<string> {
  const found = await firstExecutable(PLACES);
  if (found !== undefined) return found;
  const missing = 'lighttpd is missing, which serves the plain git repository to compare with: install it with '
    + '`apt-get install lighttpd`, or your system\'s equivalent';
  if (process.getuid?.() !== 0 || await firstExecutable(['/usr/bin/apt-get']) === undefined) throw new Error(missing);
  progress('installing lighttpd with apt-get');
  try {
    // The package starts a server on port 80 unless told not to; only the program is wanted.
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'lighttpd'], {
      env: { ...environment, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
  } catch (cause) {
    throw new Error(missing, { cause });
  }
  const installed = await firstExecutable(PLACES);
  if (installed === undefined) throw new Error(missing);
  return installed;
}

async function firstExecutable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await access(path, constants.X_OK).then(() => true, () => false)) return path;
  }
  return undefined;
}
