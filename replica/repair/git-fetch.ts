import { TrivetError } from '@trivet/proto/errors.ts';
import type { Oid } from '@trivet/proto/object-format.ts';
import { startGit } from '../git/process.ts';
import type { RoundProgress } from './progress.ts';
import type { Source } from './source.ts';

/** git gives up a source that sends less than a byte a second for this long; it is sent a sign of life every five seconds. */
const SILENCE_S = 60;
/** Of what is here beyond the refs, git is told so many: a command line has an end. */
const MAX_HAVE = 4_000;
/** What git said last is what went wrong. */
const LAST_WORDS_BYTES = 4_000;

/**
 * Brings objects by stock git: what is reachable from `wanted` and not from the refs that are here. Git checks every object's
 * hash, and that all they name is there, as far as what the refs name is. It is not asked for its opinion of their content:
 * they were taken in once, and a replica must not stay behind because its git is another than that time's.
 * @param have objects that are here with all that is reachable from them, though no ref names them; when there are any, git
 *   names them to the source instead of the refs
 * @param all also what the refs that are here name, as for a clone
 * @throws TrivetError git_failed; the signal's reason
 */
export async function gitFetch(input: {
  gitDir: string; source: Source; wanted: Iterable<Oid>; have?: ReadonlySet<Oid>; all?: boolean; progress: RoundProgress; signal: AbortSignal;
}): Promise<void> {
  const { gitDir, source, wanted, have = new Set(), all = false, progress, signal } = input;
  const config = [
    ['protocol.version', '2'], ['fetch.fsckObjects', 'false'], ['http.lowSpeedLimit', '1'], ['http.lowSpeedTime', String(SILENCE_S)],
    ...Object.entries(source.headers).map(([name, value]) => ['http.extraHeader', `${name}: ${value}`]),
  ];
  // Through the environment, for everyone can read a command line.
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(config.length), GIT_NO_REPLACE_OBJECTS: '1' };
  config.forEach(([key, value], i) => Object.assign(env, { [`GIT_CONFIG_KEY_${i}`]: key, [`GIT_CONFIG_VALUE_${i}`]: value }));
  const tips = all ? ['--refetch'] : [...have].slice(0, MAX_HAVE).map((oid) => `--negotiation-tip=${oid}`);
  const args = ['fetch', '--progress', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', '--stdin', ...tips, source.url];
  const git = startGit(args, { gitDir, env, signal });
  let said = '';
  git.child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-LAST_WORDS_BYTES);
    for (const line of said.split(/[\r\n]/).slice(-3)) progress.git(line);
  });
  git.child.stdout.resume();
  git.child.stdin.end(`${[...wanted].join('\n')}\n`);
  const { code, signal: killedBy } = await git.done;
  signal.throwIfAborted();
  if (code !== 0) throw new TrivetError('git_failed', { args: ['fetch'], code, signal: killedBy, stderr: said.trim() });
}
