import type { Outcome, Update, Value } from '../history/history.ts';

/** What `git push --porcelain` left behind. */
export interface PushTraces {
  stdout: string;
  stderr: string;
  /** GIT_TRACE_PACKET: what was really said on the wire. */
  packets: string;
  /** GIT_TRACE_CURL, without the data: what became of the connections. */
  curl: string;
}

/** The one error of a server that says nothing about the outcome. */
const OUTCOME_UNKNOWN = 'it is not known yet whether the push was committed';
/** What curl notes when a kept-alive connection broke before the first byte of an answer. Git doesn't hear of it. */
const SENT_AGAIN = 'retrying a fresh connect';

/**
 * What became of each ref of a push. Only what was sent can have happened; only what the server reported as done has; what
 * it refused, by report, by its own error or by an HTTP status, has not. All the rest is unknown; so is every refusal when
 * curl sent the request twice, as it says nothing of the first one: that may be what has moved the ref from its old value.
 * @param wanted the refs that the client asked git to push, and to what
 */
export function outcomesOf(wanted: ReadonlyMap<string, Value>, traces: PushTraces): Update[] {
  const sent = commandsSent(traces.packets);
  const reported = reportOf(traces.stdout);
  const sentAgain = traces.curl.includes(SENT_AGAIN);
  const refusal = sentAgain ? undefined : refusalOf(traces);
  return [...wanted].map(([ref, value]) => {
    const old = sent.get(ref);
    if (old === undefined) return { ref, old: null, new: value, outcome: 'rejected', reason: `not sent: ${reported.get(ref)?.summary ?? firstLine(traces.stderr)}` };
    const line = reported.get(ref);
    const verdict = line === undefined ? undefined : verdictOf(line);
    if (verdict === 'ok') return { ref, old, new: value, outcome: 'ok' };
    if (verdict === 'rejected' && !sentAgain) return { ref, old, new: value, outcome: 'rejected', reason: line!.summary };
    const outcome: Outcome = refusal === undefined ? 'unknown' : 'rejected';
    return { ref, old, new: value, outcome, reason: refusal ?? line?.summary ?? firstLine(traces.stderr) };
  });
}

/** The old values on the wire, by ref. */
function commandsSent(packets: string): Map<string, Value> {
  const commands = new Map<string, Value>();
  for (const match of packets.matchAll(/ git> ([0-9a-f]{40,64}) [0-9a-f]{40,64} (refs\/[^\s\\]+)/g)) {
    commands.set(match[2]!, /^0+$/.test(match[1]!) ? null : match[1]!);
  }
  return commands;
}

/** git-push(1), --porcelain: flag, refs, summary, separated by tabs. */
function reportOf(stdout: string): Map<string, { flag: string; summary: string }> {
  const report = new Map<string, { flag: string; summary: string }>();
  for (const line of stdout.split('\n')) {
    const [flag, refs, summary] = line.split('\t');
    if (flag?.length === 1 && refs !== undefined && summary !== undefined) report.set(refs.slice(refs.indexOf(':') + 1), { flag, summary });
  }
  return report;
}

function verdictOf({ flag, summary }: { flag: string; summary: string }): Outcome {
  if (' +*-'.includes(flag)) return 'ok';
  return flag === '!' && summary.startsWith('[remote rejected]') ? 'rejected' : 'unknown';
}

/** The server's own word that nothing was done. */
function refusalOf({ stderr }: PushTraces): string | undefined {
  if (stderr.includes(OUTCOME_UNKNOWN)) return undefined;
  return /trivet: .*/.exec(stderr)?.[0] ?? /RPC failed; HTTP \d{3}.*/.exec(stderr)?.[0] ?? /The requested URL returned error: \d{3}/.exec(stderr)?.[0];
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
