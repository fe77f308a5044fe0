import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { VoteAnswer, VoteHeader } from '@trivet/proto/messages.ts';
import type { KnownNode } from '../nodes/node-registry.ts';
import type { Silences } from '../nodes/silence.ts';
import { FanOut } from './fan-out.ts';
import { quorumOf, tally } from './quorum.ts';

/** A push whose whole body is at hand by then is sent to the nodes in one piece instead of as a stream. */
const WHOLE_BODY_BYTES = 128 * 1024;
/** Of the time a vote took, stragglers get this share more. Packs of gigabytes don't end at the same second. */
const GRACE_SHARE = 0.5;

export interface VoteRequest {
  repository: string;
  configured: number;
  participants: readonly KnownNode[];
  header: VoteHeader;
  pack: AsyncIterable<Buffer> | undefined;
  signal: AbortSignal;
  clock: Clock;
  silence: Silences;
  stallMs: number;
  graceMs: number;
  deadlineMs: number;
}

export interface VoteRound {
  /** What the quorum said; undefined when there was none. */
  agreed: VoteAnswer | undefined;
  winners: string[];
  /** Voted something else than the quorum. */
  differing: string[];
  /** Gave no vote: the error code of each. */
  lost: Record<string, string>;
}

/**
 * Phase 1: the pack goes to all participants while it arrives, and each answers its vote. Ends when all have answered,
 * or when a quorum agrees and the grace for the others is over, or they are silent. Whoever hasn't answered by then is dropped.
 * @throws what reading the pack threw, or the reason of `signal`, after every node was told to stop
 */
export async function runVotes(request: VoteRequest): Promise<VoteRound> {
  const { participants, signal, clock } = request;
  const frame = encodeFrame(request.header);
  const fanOut = new FanOut();
  const aborts = new Map(participants.map((node) => [node.id, new AbortController()]));
  const votes = new Map<string, VoteAnswer>();
  const lost: Record<string, string> = {};
  const startedAt = clock.elapsed();
  let sourceFailure: { error: unknown } | undefined;
  let wake = () => {};

  const body = await bodyFor(request, frame, fanOut);
  const drop = (id: string, code: 'phase_timeout' | 'aborted') => {
    fanOut.leave(id);
    aborts.get(id)!.abort(new TrivetError(code, { node: id, phase: 'vote' }));
  };
  const calls = participants.map(async (node) => {
    try {
      const answer = await node.client.vote(request.repository, body.of(node.id), request.deadlineMs, aborts.get(node.id)!.signal);
      votes.set(node.id, answer);
      // It may have seen enough before the pack ended: a damaged pack is refused at once.
      fanOut.leave(node.id);
    } catch (error) {
      lost[node.id] = asTrivetError(error).code;
      fanOut.leave(node.id);
    }
    wake();
  });
  const undecided = () => participants.filter((node) => !votes.has(node.id) && lost[node.id] === undefined);
  void body.pump((slow) => participants.length - Object.keys(lost).length - slow.length >= quorumOf(request.configured), (id) => drop(id, 'phase_timeout'))
    .catch((error: unknown) => { sourceFailure = { error }; wake(); });

  const count = () => tally(request.configured, new Map([...votes].map(([node, answer]) => [node, answer.vote])), undecided().length);
  let graceEndsAt: number | undefined;
  let endLate: (() => void) | undefined;
  for (;;) {
    if (sourceFailure !== undefined || signal.aborted) break;
    if (undecided().length === 0) break;
    const result = count();
    if (result.state === 'lost') break;
    let waitMs: number | undefined;
    if (result.state === 'won') {
      const now = clock.elapsed();
      graceEndsAt ??= now + Math.max(request.graceMs, (now - startedAt) * GRACE_SHARE);
      endLate ??= request.silence.late(() => undecided().map((node) => node.id), () => { graceEndsAt = now; wake(); });
      waitMs = graceEndsAt - now;
      if (waitMs <= 0) break;
    }
    await new Promise<void>((resolve) => {
      const cancel = waitMs === undefined ? undefined : clock.after(waitMs, resolve);
      const finish = () => { cancel?.(); signal.removeEventListener('abort', finish); resolve(); };
      wake = finish;
      signal.addEventListener('abort', finish, { once: true });
    });
  }
  endLate?.();
  const broken = sourceFailure !== undefined || signal.aborted;
  // Only a node that is late while a quorum waits is at fault; where the vote can't be won, its answer isn't wanted.
  const late = !broken && count().state === 'won';
  for (const node of undecided()) drop(node.id, late ? 'phase_timeout' : 'aborted');
  await Promise.all(calls);
  body.abandon();
  if (broken) throw sourceFailure?.error ?? signal.reason;
  const result = count();
  if (result.state !== 'won') return { agreed: undefined, winners: [], differing: [...votes.keys()], lost };
  return { agreed: votes.get(result.winners[0]!), winners: result.winners, differing: result.others, lost };
}

/** The header as the node reads it: its length in four bytes, then JSON. */
export function encodeFrame(header: VoteHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json]);
}

interface Body {
  of(node: string): Buffer | AsyncIterable<Buffer>;
  pump(mayDrop: (slow: readonly string[]) => boolean, onDrop: (name: string) => void): Promise<void>;
  abandon(): void;
}

async function bodyFor(request: VoteRequest, frame: Buffer, fanOut: FanOut): Promise<Body> {
  if (request.pack === undefined) return { of: () => frame, pump: async () => {}, abandon: () => {} };
  const source = request.pack[Symbol.asyncIterator]();
  const head: Buffer[] = [frame];
  let bytes = 0;
  let ended = false;
  while (bytes < WHOLE_BODY_BYTES) {
    const next = await source.next();
    if (next.done) { ended = true; break; }
    head.push(next.value);
    bytes += next.value.length;
  }
  const begin = Buffer.concat(head);
  if (ended) return { of: () => begin, pump: async () => {}, abandon: () => {} };
  async function* whole(): AsyncGenerator<Buffer> {
    yield begin;
    for (;;) {
      const next = await source.next();
      if (next.done) return;
      yield next.value;
    }
  }
  const branches = new Map(request.participants.map((node) => [node.id, fanOut.branch(node.id)]));
  return {
    of: (node) => branches.get(node)!,
    pump: (mayDrop, onDrop) => fanOut.pump(whole(), request.stallMs, mayDrop, onDrop),
    abandon: () => { void source.return?.(); },
  };
}
