import type { RunInput, RunResult } from './simulation.ts';
import { Simulation } from './simulation.ts';

/** What happened at one moment of a run. */
export interface StoryLine {
  atMs: number;
  who: string;
  text: string;
}

/** What a line means to somebody who doesn't know the protocol by heart. */
const MEANINGS: readonly (readonly [pattern: RegExp, meaning: string])[] = [
  [/^promises batch/, 'it must keep this through any crash, until it hears the decision'],
  [/^has committed batch/, 'its refs are visible from here on'],
  [/^has aborted batch/, 'it has forgotten its promise'],
  [/^is told: .*\bon \d+ replicas/, 'acknowledged: what is ok here must never be lost'],
  [/so it may be either way$/, 'the push may take effect later, or never'],
  [/^loses power/, 'what it never synced may be gone'],
  [/^is killed/, 'its memory is gone, its disk is as it was'],
  [/it was applied$/, 'SQL has decided, and this controller does not know'],
  [/it will be applied in/, 'SQL will decide, and nobody knows yet'],
  [/^comes up with the disk it had/, 'an operator restored a backup'],
  [/is sent twice$/, 'the same request will arrive again, late'],
  [/^hears nothing from/, 'it can not know whether the request was carried out'],
  [/^has brought .* back/, 'SQL has admitted the replica'],
  [/^goes from generation .* by a repair$/, 'it has taken over the refs of another replica'],
  [/^is told that batch/, 'it had asked, because nobody came for its promise'],
];

/** Runs once and keeps what happened. The run is the same as without being told. */
export async function tellRun(input: RunInput): Promise<{ lines: StoryLine[]; result: RunResult }> {
  const lines: StoryLine[] = [];
  const result = await new Simulation({ ...input, tell: (atMs, who, text) => { lines.push({ atMs, who, text }); } }).run();
  return { lines, result };
}

/** The story as text: numbered lines of time, who, what happened, and what it means; at the end what was violated. */
export function formatStory(lines: readonly StoryLine[], { violation }: RunResult): string {
  const width = Math.max(...lines.map(({ who }) => who.length), 3);
  const numbered = lines.map(({ atMs, who, text }, i) => {
    const meaning = MEANINGS.find(([pattern]) => pattern.test(text))?.[1];
    return `${String(i + 1).padStart(4)}  ${atMs.toFixed(1).padStart(8)} ms  ${who.padEnd(width)}  ${text}${meaning === undefined ? '' : `   (${meaning})`}`;
  });
  if (violation !== undefined) numbered.push('', `VIOLATED at ${violation.atMs.toFixed(1)} ms: ${violation.checker}`, `  ${violation.problem}`);
  return numbered.join('\n');
}
