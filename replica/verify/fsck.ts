import { TrivetError } from '@trivet/proto/errors.ts';
import { startGit } from '../git/process.ts';
import { isFinding } from './git-failure.ts';
import { MAX_PROBLEMS, type Problems } from './problems.ts';

/** git-fsck(1): what it has found, as bits; above that it died, or the shell could not start it. */
const MAX_FINDINGS = 63;
/** Neither the one nor the other is about objects. */
const NOISE = /^(notice|Checking|dangling|warning)\b/;
const MAX_LINE_BYTES = 1_000;

/**
 * `git fsck --full --strict`: every byte of every pack and index against its checksum, every object's form, and every link
 * from the refs on. At the lowest priority for processor and disk, so that pushes and clones don't feel it.
 * @throws TrivetError git_failed when git itself failed; the signal's reason
 */
export async function fsck(gitDir: string, problems: Problems, signal: AbortSignal): Promise<void> {
  const git = startGit(['fsck', '--full', '--strict', '--no-dangling', '--no-progress'], {
    gitDir, signal, priority: 'low', env: { GIT_NO_REPLACE_OBJECTS: '1' },
  });
  git.child.stdin.end();
  const said: string[] = [];
  collectLines(git.child.stdout, said);
  collectLines(git.child.stderr, said);
  const { code, signal: killedBy, stderr } = await git.done;
  signal.throwIfAborted();
  if (code === 0) return;
  const fault = new TrivetError('git_failed', { args: ['fsck'], code, signal: killedBy, stderr });
  if (code === null || (code > MAX_FINDINGS && !isFinding(fault))) throw fault;
  for (const line of said) problems.add('corrupt', `git fsck: ${line}`);
  if (said.length === 0) problems.add('corrupt', `git fsck ended with status ${code}`);
}

/** The first lines that say something; the rest is read and forgotten. */
function collectLines(stream: NodeJS.ReadableStream, lines: string[]): void {
  let rest = '';
  const take = (line: string) => {
    if (line !== '' && !NOISE.test(line) && lines.length < MAX_PROBLEMS) lines.push(line);
  };
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split(/[\r\n]+/);
    rest = parts.pop()!.slice(0, MAX_LINE_BYTES);
    for (const line of parts) take(line);
  });
  stream.on('end', () => take(rest));
}
