import type { PrepareAnswer, ReplicaPosition } from '@trivet/proto/messages.ts';
import { quorumOf, tally } from './quorum.ts';

/**
 * The transaction from prepare to answer, as a pure function: (state, event) → (state, effects). It knows no clock,
 * network or disk; a refusal is a value. Whoever drives it runs the effects in their order, each to its end where the
 * next depends on it (`mark` before `finish`), and feeds back what happened.
 *
 *   preparing --quorum agrees, grace over--> deciding --committed--> committing --quorum, grace over--> finished
 *       |                                       |--refused--> finished (refused)
 *       |--no quorum--> finished (no-quorum)    `--unknown--> finished (unknown)
 *       `--quorum agrees that nothing moves--> finished (nothing)
 *
 * preparing: nothing is decided; every promise may still be undone.
 * deciding: a quorum has promised; nobody but SQL knows the outcome.
 * committing: the outcome is commit and can't change; only who has it visible is open.
 */
export type BatchState =
  | { phase: 'preparing'; members: Members; prepares: ReadonlyMap<string, Prepared>; graceStarted: boolean }
  | { phase: 'deciding'; members: Members; agreed: Agreed }
  | { phase: 'committing'; members: Members; agreed: Agreed; commits: ReadonlyMap<string, CommitOutcome>; graceStarted: boolean }
  /** `promised`: whose promise the decision counts on, or may count on. */
  | { phase: 'finished'; members: Members; promised: readonly string[] };

export interface Members {
  /** Replicas the repository is configured to have. */
  configured: number;
  /** Nodes that are asked to prepare. */
  participants: readonly string[];
}

type Prepared = { answer: PrepareAnswer } | { code: string };
type CommitOutcome = 'committed' | 'diverged' | 'failed';

/** What a quorum promised, and who did. */
export interface Agreed {
  answer: PrepareAnswer;
  promised: readonly string[];
  /** Promised something else, or failed where the quorum did not: they are behind or damaged. */
  differing: readonly string[];
}

export type BatchEvent =
  | { type: 'prepared'; node: string; answer: PrepareAnswer }
  | { type: 'prepare-failed'; node: string; code: string }
  | { type: 'committed'; node: string; position: ReplicaPosition }
  | { type: 'commit-failed'; node: string; code: string }
  | { type: 'decided'; decision: 'committed' | 'refused' | 'unknown' }
  | { type: 'grace-over' };

export type BatchEffect =
  | { type: 'prepare'; nodes: readonly string[] }
  | { type: 'start-grace'; phase: 'prepare' | 'commit' }
  | { type: 'decide'; agreed: Agreed }
  /** `after`: what was decided, so that nobody commits anything else. */
  | { type: 'commit'; nodes: readonly string[]; after: ReplicaPosition }
  | { type: 'abort'; nodes: readonly string[] }
  | { type: 'mark'; nodes: readonly string[]; state: 'outdated' | 'diverged'; reason: string }
  | { type: 'finish'; result: BatchResult };

export type BatchResult =
  | { outcome: 'committed'; answer: PrepareAnswer; copies: number }
  /** Every command was refused by the refs as they are. */
  | { outcome: 'nothing'; answer: PrepareAnswer }
  | { outcome: 'no-quorum'; codes: Record<string, string> }
  /** SQL refused the decision: another one came first. */
  | { outcome: 'refused' }
  /** SQL didn't say. Neither success nor failure may be reported. */
  | { outcome: 'unknown' };

/** Codes that say something about a replica's own objects rather than about the moment: such a replica is checked in full. */
export const OBJECTS_IN_DOUBT: ReadonlySet<string> = new Set(['git_failed', 'internal']);

type Step = readonly [BatchState, readonly BatchEffect[]];

export function startBatch(members: Members): Step {
  return [
    { phase: 'preparing', members, prepares: new Map(), graceStarted: false },
    [{ type: 'prepare', nodes: members.participants }],
  ];
}

export function step(state: BatchState, event: BatchEvent): Step {
  switch (state.phase) {
    case 'preparing': return whilePreparing(state, event);
    case 'deciding': return whileDeciding(state, event);
    case 'committing': return whileCommitting(state, event);
    case 'finished': return [state, lateAnswer(state.promised, event)];
  }
}

/** Who is still asked and hasn't answered. */
export function outstanding(state: BatchState): readonly string[] {
  switch (state.phase) {
    case 'preparing': return state.members.participants.filter((node) => !state.prepares.has(node));
    case 'committing': return state.agreed.promised.filter((node) => !state.commits.has(node));
    case 'deciding': case 'finished': return [];
  }
}

function whilePreparing(state: BatchState & { phase: 'preparing' }, event: BatchEvent): Step {
  const { members } = state;
  const prepares = new Map(state.prepares);
  if (event.type === 'prepared') prepares.set(event.node, { answer: event.answer });
  else if (event.type === 'prepare-failed') prepares.set(event.node, { code: event.code });
  else if (event.type !== 'grace-over') return [state, []];
  const answers = new Map([...prepares].flatMap(([node, prepared]) => ('answer' in prepared ? [[node, promiseKey(prepared.answer)] as const] : [])));
  const outstanding = members.participants.length - prepares.size;
  const count = tally(members.configured, answers, event.type === 'grace-over' && state.graceStarted ? 0 : outstanding);
  if (count.state === 'pending') return [{ ...state, prepares }, []];
  if (count.state === 'lost') {
    const codes = Object.fromEntries([...prepares].map(([node, prepared]) => [node, 'code' in prepared ? prepared.code : 'differs']));
    return finish(members, [{ type: 'abort', nodes: members.participants }], { outcome: 'no-quorum', codes });
  }
  if (outstanding > 0 && event.type !== 'grace-over') {
    return [{ ...state, prepares, graceStarted: true }, state.graceStarted ? [] : [{ type: 'start-grace', phase: 'prepare' }]];
  }
  const { answer } = prepares.get(count.winners[0]!) as { answer: PrepareAnswer };
  if (!answer.promised) {
    const effects = [...abortOf(members.participants), ...markOf(count.others, 'diverged', 'would have moved refs that the quorum leaves')];
    return finish(members, effects, { outcome: 'nothing', answer });
  }
  const doubtful = [...prepares].flatMap(([node, prepared]) => ('code' in prepared && OBJECTS_IN_DOUBT.has(prepared.code) ? [node] : []));
  const agreed: Agreed = { answer, promised: count.winners, differing: [...count.others, ...doubtful] };
  // Who didn't promise this is out: told to undo whatever it has, now or when the late prepare reaches it.
  const out = members.participants.filter((node) => !count.winners.includes(node));
  return [{ phase: 'deciding', members, agreed }, [...abortOf(out), { type: 'decide', agreed }]];
}

function whileDeciding(state: BatchState & { phase: 'deciding' }, event: BatchEvent): Step {
  const { members, agreed } = state;
  if (event.type !== 'decided') return [state, lateAnswer(agreed.promised, event)];
  switch (event.decision) {
    case 'refused': return finish(members, abortOf(agreed.promised), { outcome: 'refused' });
    // The promises stay: each node asks for the decision when its deadline is over.
    case 'unknown': return finish(members, [], { outcome: 'unknown' }, agreed.promised);
    case 'committed': return [
      { phase: 'committing', members, agreed, commits: new Map(), graceStarted: false },
      [
        { type: 'commit', nodes: agreed.promised, after: { generation: agreed.answer.generation, digest: agreed.answer.after } },
        ...markOf(agreed.differing, 'diverged', 'did not prepare what the quorum prepared'),
      ],
    ];
  }
}

function whileCommitting(state: BatchState & { phase: 'committing' }, event: BatchEvent): Step {
  const { members, agreed } = state;
  const commits = new Map(state.commits);
  if (event.type === 'committed') {
    const equal = event.position.generation >= agreed.answer.generation
      && (event.position.generation > agreed.answer.generation || event.position.digest === agreed.answer.after);
    commits.set(event.node, equal ? 'committed' : 'diverged');
  } else if (event.type === 'commit-failed') {
    // It had promised something else after all, and has undone that.
    commits.set(event.node, event.code === 'promise_differs' ? 'diverged' : 'failed');
  } else if (event.type !== 'grace-over') {
    return [state, lateAnswer(agreed.promised, event)];
  }
  const withOutcome = (outcome: CommitOutcome) => [...commits].filter(([, each]) => each === outcome).map(([node]) => node);
  const committed = withOutcome('committed');
  const outstanding = agreed.promised.filter((node) => !commits.has(node));
  const quorum = committed.length >= quorumOf(members.configured);
  const graceOver = event.type === 'grace-over' && state.graceStarted;
  if (outstanding.length > 0 && !(quorum && graceOver)) {
    const startGrace = quorum && !state.graceStarted;
    return [{ ...state, commits, graceStarted: state.graceStarted || startGrace }, startGrace ? [{ type: 'start-grace', phase: 'commit' }] : []];
  }
  // A decided commit stays a success even when too few could say that they have it: the promises are on their disks,
  // SQL has the decision, and reads name the generation. Only with a quorum in place can stragglers be called outdated.
  const stragglers = quorum ? [...outstanding, ...withOutcome('failed')] : [];
  return finish(members, [
    ...markOf(stragglers, 'outdated', 'did not answer a commit in time'),
    ...markOf(withOutcome('diverged'), 'diverged', 'has not committed what was decided'),
  ], { outcome: 'committed', answer: agreed.answer, copies: agreed.promised.length - withOutcome('diverged').length }, agreed.promised);
}

/** What a node that comes too late needs to hear: a promise that no decision counts on is undone. */
function lateAnswer(promised: readonly string[], event: BatchEvent): readonly BatchEffect[] {
  return event.type === 'prepared' && !promised.includes(event.node) ? abortOf([event.node]) : [];
}

function finish(members: Members, effects: readonly BatchEffect[], result: BatchResult, promised: readonly string[] = []): Step {
  return [{ phase: 'finished', members, promised }, [...effects, { type: 'finish', result }]];
}

function abortOf(nodes: readonly string[]): readonly BatchEffect[] {
  return nodes.length === 0 ? [] : [{ type: 'abort', nodes }];
}

function markOf(nodes: readonly string[], state: 'outdated' | 'diverged', reason: string): readonly BatchEffect[] {
  return nodes.length === 0 ? [] : [{ type: 'mark', nodes, state, reason }];
}

/** Equal exactly when two nodes promised the same: the digests before and after, and every verdict. */
function promiseKey(answer: PrepareAnswer): string {
  return JSON.stringify([answer.before, answer.after, answer.generation, answer.head, answer.promised, answer.verdicts]);
}
