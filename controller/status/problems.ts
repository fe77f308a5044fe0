import type { ClusterStatus, Problem } from '../rest/cluster.ts';

/** What a screen shows. */
const MAX_PROBLEMS = 20;
/** A disk with less than this share free is nearly full. */
const DISK_LOW = 0.1;
/** A verification is overdue when it is older than this many intervals. */
const OVERDUE = 2;
/** A repair that failed so often hasn't only met a bad moment. */
const FAILED_ATTEMPTS = 3;

/** What is judged: everything but the judgement. */
export type Facts = Omit<ClusterStatus, 'verdict' | 'problems'>;

export interface Judgement { verdict: ClusterStatus['verdict']; problems: Problem[] }

/**
 * Says what is wrong with a cluster, the worst first, and how bad the whole is.
 * @param intervals how often verifications are due, milliseconds
 */
export function judge(facts: Facts, intervals: { verifyMs: number; checkMs: number }): Judgement {
  const problems = [...riskProblems(facts), ...nodeProblems(facts), ...workProblems(facts), ...verificationProblems(facts, intervals), ...controllerProblems(facts)];
  const critical = problems.filter(({ severity }) => severity === 'critical');
  const degraded = problems.filter(({ severity }) => severity === 'degraded');
  return {
    verdict: critical.length > 0 ? 'critical' : degraded.length > 0 ? 'degraded' : 'ok',
    problems: [...critical, ...degraded].slice(0, MAX_PROBLEMS),
  };
}

function problem(severity: Problem['severity'], code: string, text: string, at: { node?: string; repository?: string } = {}): Problem {
  return { severity, code, text, node: at.node ?? null, repository: at.repository ?? null };
}

function riskProblems({ atRisk: { byKind } }: Facts): Problem[] {
  const problems: Problem[] = [];
  const { unavailable, no_quorum: noQuorum, under_replicated: underReplicated } = byKind;
  if (unavailable > 0) problems.push(problem('critical', 'unavailable', `${repositories(unavailable)} can be neither read nor pushed to`));
  if (noQuorum > 0) problems.push(problem('critical', 'no_quorum', `${repositories(noQuorum)} can be read, but take no push`));
  if (underReplicated > 0) problems.push(problem('degraded', 'under_replicated', `${repositories(underReplicated)} ${underReplicated === 1 ? 'has' : 'have'} fewer current replicas than configured`));
  return problems;
}

function nodeProblems({ nodes }: Facts): Problem[] {
  return nodes.flatMap((node) => {
    const problems: Problem[] = [];
    const at = { node: node.id };
    if (node.state === 'cordoned') problems.push(problem('degraded', 'node_cordoned', `${node.id} is out of service: ${node.trouble ?? 'its disk takes nothing'}`, at));
    if (node.state === 'removed') return problems;
    const { diskFreeBytes, diskTotalBytes } = node;
    if (diskFreeBytes !== null && diskTotalBytes !== null && diskTotalBytes > 0 && diskFreeBytes / diskTotalBytes < DISK_LOW) {
      problems.push(problem('degraded', 'disk_nearly_full', `the disk of ${node.id} has ${Math.floor(100 * diskFreeBytes / diskTotalBytes)}% left`, at));
    }
    if (node.clockWrong) problems.push(problem('degraded', 'clock_wrong', `the clock of ${node.id} is wrong`, at));
    return problems;
  });
}

function workProblems({ repairs, findings, transactionsInDoubt }: Facts): Problem[] {
  const problems = repairs.first.filter(({ lastError, attempt }) => lastError !== null && attempt >= FAILED_ATTEMPTS)
    .map((job) => problem('degraded', 'repair_failing', `the repair of ${job.repository} on ${job.node} has failed ${job.attempt} times`, { node: job.node, repository: job.repository }));
  const found = Object.values(findings).reduce((sum, count) => sum + count, 0);
  if (found > 0) problems.push(problem('degraded', 'findings_open', `${found === 1 ? 'one thing' : `${found} things`} that verification found ${found === 1 ? 'is' : 'are'} not mended yet`));
  if (transactionsInDoubt > 0) problems.push(problem('degraded', 'in_doubt', `${transactionsInDoubt === 1 ? 'one transaction is' : `${transactionsInDoubt} transactions are`} in doubt`));
  return problems;
}

function verificationProblems({ at, verification }: Facts, { verifyMs, checkMs }: { verifyMs: number; checkMs: number }): Problem[] {
  const isOverdue = (time: string | null, intervalMs: number) => time !== null && Date.parse(at) - Date.parse(time) > OVERDUE * intervalMs;
  return [
    ...(isOverdue(verification.oldestVerifiedAt, verifyMs) ? [problem('degraded', 'verification_overdue', 'the refs of some replica were not verified for too long')] : []),
    ...(isOverdue(verification.oldestCheckedAt, checkMs) ? [problem('degraded', 'check_overdue', 'the objects of some replica were not checked for too long')] : []),
  ];
}

function controllerProblems({ controllers }: Facts): Problem[] {
  return controllers.filter(({ running, differs }) => running && differs)
    .map(({ name }) => problem('degraded', 'settings_differ', `${name} runs with other settings than the controller that started last`));
}

function repositories(count: number): string {
  return count === 1 ? 'one repository' : `${count} repositories`;
}
