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
 * What git thinks of an object's content: a time zone, the order of a tree's entries, a mode. The object has the hash it
 * should have, so it is as it was pushed and the same on every replica; whether to take it in was judged then, maybe by
 * another git with other opinions.
 */
const OPINION = /^(error|warning) in \w+ [0-9a-f]{40,64}( \(.*\))?: /;

/**
 * `git fsck --full`: every byte of every pack and index against its checksum, every object against its hash, and every link
 * from the refs on. What it says of sound objects doesn't count. At the lowest priority for processor and disk, so that
 * pushes and clones don't feel it.
 * @throws TrivetError git_failed when git itself failed; the signal's reason
 */
export async function fsck(gitDir: string, problems: Problems, signal: AbortSignal): Promise<void> {
  const git = startGit(['fsck', '--full', '--no-dangling', '--no-progress'], {
    gitDir, signal, priority: 'low', env: { GIT_NO_REPLACE_OBJECTS: '1' },
  });
  git.child.stdin.end();
  const said: string[] = [];
  let opinions = 0;
  const take = (line: string) => {
    if (OPINION.test(line)) opinions += 1;
    else if (line !== '' && !NOISE.test(line) && said.length < MAX_PROBLEMS) said.push(line);
  };
  eachLine(git.child.stdout, take);
  eachLine(git.child.stderr, take);
  const { code, signal: killedBy, stderr } = await git.done;
  signal.throwIfAborted();
  if (code === 0) return;
  const fault = new TrivetError('git_failed', { args: ['fsck'], code, signal: killedBy, stderr });
  if (code === null || (code > MAX_FINDINGS && !isFinding(fault))) throw fault;
  for (const line of said) problems.add('corrupt', `git fsck: ${line}`);
  // Opinions have the same status as damage, which is never found without a word.
  if (said.length === 0 && opinions === 0) problems.add('corrupt', `git fsck ended with status ${code}`);
}

function eachLine(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split(/[\r\n]+/);
    rest = parts.pop()!.slice(0, MAX_LINE_BYTES);
    for (const line of parts) take(line);
  });
  stream.on('end', () => take(rest));
}
