import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { systemClock } from '@trivet/proto/clock.ts';
import { newId } from '@trivet/proto/id.ts';
import type { VoteAnswer, VoteHeader } from '@trivet/proto/messages.ts';
import { NO_SILENCE } from '../nodes/silence.ts';
import type { KnownNode } from '../nodes/node-registry.ts';
import { encodeFrame, runVotes, type VoteRequest } from './vote-round.ts';

const NEVER_MS = 600_000;

test('all three votes are equal: everybody wins, and every node got the header and the pack', async (t) => {
  const bodies: Buffer[] = [];
  const nodes = ['a', 'b', 'c'].map((id) => voter(id, async (body) => { bodies.push(body); return vote('x'); }));
  const pack = [Buffer.from('PA'), Buffer.from('CK')];
  const request = requestTo(nodes, { pack: from(pack) });
  const round = await runVotes(request);
  t.deepEqual(round, { agreed: vote('x'), winners: ['a', 'b', 'c'], differing: [], lost: {} });
  for (const body of bodies) t.deepEqual(body, Buffer.concat([encodeFrame(request.header), ...pack]));
});

test('a pack too large to be sent in one piece arrives whole at every node', async (t) => {
  const pack = Array.from({ length: 40 }, (_, i) => Buffer.alloc(16 * 1024, i));
  const bodies: Buffer[] = [];
  const nodes = ['a', 'b', 'c'].map((id) => voter(id, async (body) => { bodies.push(body); return vote('x'); }));
  const request = requestTo(nodes, { pack: from(pack) });
  await runVotes(request);
  t.is(bodies.length, 3);
  for (const body of bodies) t.deepEqual(body, Buffer.concat([encodeFrame(request.header), ...pack]));
});

test('a push that only deletes sends the header alone', async (t) => {
  const request = requestTo(['a', 'b'].map((id) => voter(id, async (body) => {
    t.deepEqual(body, encodeFrame(request.header));
    return vote('x');
  })), { pack: undefined });
  t.deepEqual((await runVotes(request)).winners, ['a', 'b']);
});

test('the one whose vote differs is named, and the quorum wins', async (t) => {
  const nodes = [voter('a', async () => vote('x')), voter('b', async () => vote('y')), voter('c', async () => vote('x'))];
  const round = await runVotes(requestTo(nodes));
  t.deepEqual(round, { agreed: vote('x'), winners: ['a', 'c'], differing: ['b'], lost: {} });
});

test('a node that fails loses its place with its error code', async (t) => {
  const nodes = [voter('a', async () => vote('x')), failing('b', 'disk_failure'), voter('c', async () => vote('x'))];
  t.deepEqual(await runVotes(requestTo(nodes)), { agreed: vote('x'), winners: ['a', 'c'], differing: [], lost: { b: 'disk_failure' } });
});

test('nobody wins when one of three votes and two fail', async (t) => {
  const nodes = [voter('a', async () => vote('x')), failing('b', 'node_unreachable'), failing('c', 'node_unreachable')];
  const round = await runVotes(requestTo(nodes));
  t.is(round.agreed, undefined);
  t.deepEqual(round.lost, { b: 'node_unreachable', c: 'node_unreachable' });
});

test('it ends as soon as a quorum is out of reach, and tells who is still at it to stop', async (t) => {
  const stopped: string[] = [];
  const nodes = [failing('a', 'node_unreachable'), failing('b', 'node_unreachable'), silent('c', stopped)];
  const round = await runVotes(requestTo(nodes, { graceMs: NEVER_MS }));
  t.is(round.agreed, undefined);
  t.deepEqual(stopped, ['c']);
});

test('once a quorum has voted, a silent node is waited for until the grace is over, then dropped and told', async (t) => {
  const stopped: string[] = [];
  const nodes = [voter('a', async () => vote('x')), voter('b', async () => vote('x')), silent('c', stopped)];
  const round = await runVotes(requestTo(nodes, { graceMs: 1 }));
  t.deepEqual(round, { agreed: vote('x'), winners: ['a', 'b'], differing: [], lost: { c: 'phase_timeout' } });
  t.deepEqual(stopped, ['c']);
});

test('the grace is over at once when all who are outstanding are silent, and not before', async (t) => {
  const stopped: string[] = [];
  const waiting = Promise.withResolvers<() => readonly string[]>();
  const nodes = [voter('a', async () => vote('x')), silent('b', stopped), voter('c', async () => vote('x'))];
  const over = Promise.withResolvers<() => void>();
  const silence = { has: () => false, late: (outstanding: () => readonly string[], tell: () => void) => {
    waiting.resolve(outstanding);
    over.resolve(tell);
    return () => {};
  } };
  const running = runVotes(requestTo(nodes, { graceMs: NEVER_MS, silence }));
  t.deepEqual((await waiting.promise)(), ['b'], 'nobody is asked about before a quorum has voted');
  t.deepEqual(stopped, []);
  (await over.promise)();
  t.deepEqual(await running, { agreed: vote('x'), winners: ['a', 'c'], differing: [], lost: { b: 'phase_timeout' } });
});

test('a vote within the grace counts', async (t) => {
  const others = Promise.withResolvers<void>();
  const nodes = [
    voter('a', async () => vote('x')),
    voter('b', async () => { others.resolve(); return vote('x'); }),
    voter('c', async () => { await others.promise; await new Promise(setImmediate); return vote('x'); }),
  ];
  t.deepEqual((await runVotes(requestTo(nodes, { graceMs: NEVER_MS }))).winners.sort(), ['a', 'b', 'c']);
});

test('without a quorum a silent node is waited for, however short the grace', async (t) => {
  const late = Promise.withResolvers<VoteAnswer>();
  const nodes = [voter('a', async () => vote('x')), failing('b', 'internal'), voter('c', async () => late.promise)];
  const round = runVotes(requestTo(nodes, { graceMs: 1 }));
  setTimeout(() => late.resolve(vote('x')), 20);
  t.deepEqual((await round).winners, ['a', 'c']);
});

test('a source that breaks off breaks the round, after every node was told to stop', async (t) => {
  const stopped: string[] = [];
  async function* source() {
    yield Buffer.alloc(256 * 1024);
    throw new TrivetError('body_truncated');
  }
  const nodes = ['a', 'b', 'c'].map((id) => silent(id, stopped));
  await t.throwsAsync(runVotes(requestTo(nodes, { pack: source() })), { code: 'body_truncated' });
  t.deepEqual(stopped.sort(), ['a', 'b', 'c']);
});

test('a source that breaks off within its first bytes breaks the round before any node is asked', async (t) => {
  async function* source() {
    yield Buffer.from('PACK');
    throw new TrivetError('body_truncated');
  }
  const nodes = ['a', 'b', 'c'].map((id) => voter(id, async () => { t.fail(); return vote('x'); }));
  await t.throwsAsync(runVotes(requestTo(nodes, { pack: source() })), { code: 'body_truncated' });
});

test('a client that leaves ends the round with its own reason, and every node is told to stop', async (t) => {
  const stopped: string[] = [];
  const client = new AbortController();
  const nodes = ['a', 'b', 'c'].map((id) => silent(id, stopped, () => client.abort(new Error('the client left'))));
  await t.throwsAsync(runVotes(requestTo(nodes, { signal: client.signal })), { message: 'the client left' });
  t.deepEqual(stopped.sort(), ['a', 'b', 'c']);
});

test('a node that stops taking the pack is dropped, and the others get all of it', async (t) => {
  const pack = Array.from({ length: 48 }, () => Buffer.alloc(64 * 1024));
  const stopped: string[] = [];
  const nodes = [
    voter('a', async (body) => vote(String(body.length))), voter('b', async (body) => vote(String(body.length))),
    // It never looks at its body.
    node('c', (_body, signal) => whenAborted('c', signal, stopped)),
  ];
  const request = requestTo(nodes, { pack: from(pack), stallMs: 5 });
  const round = await runVotes(request);
  t.deepEqual(round.winners, ['a', 'b']);
  t.deepEqual(round.lost, { c: 'phase_timeout' });
  t.is(round.agreed?.vote, String(encodeFrame(request.header).length + 48 * 64 * 1024));
});

test('a node that votes before the pack has ended holds nobody up', async (t) => {
  const pack = Array.from({ length: 48 }, () => Buffer.alloc(64 * 1024));
  const nodes = [
    voter('a', async () => vote('x')), voter('b', async () => vote('x')),
    node('c', async () => vote('damaged')),
  ];
  const round = await runVotes(requestTo(nodes, { pack: from(pack), stallMs: NEVER_MS }));
  t.deepEqual([round.winners, round.differing], [['a', 'b'], ['c']]);
});

type VoteCall = (body: Buffer | AsyncIterable<Buffer>, signal: AbortSignal) => Promise<VoteAnswer>;

/** As much of a node as a vote needs. */
function node(id: string, call: VoteCall): KnownNode {
  const client = {
    vote: (_repository: string, body: Buffer | AsyncIterable<Buffer>, _deadlineMs: number, signal: AbortSignal) => call(body, signal),
  };
  return { id, client } as unknown as KnownNode;
}

/** Reads all it is sent, then votes. */
function voter(id: string, answer: (body: Buffer) => Promise<VoteAnswer>): KnownNode {
  return node(id, async (body) => {
    if (Buffer.isBuffer(body)) return answer(body);
    const parts: Buffer[] = [];
    for await (const part of body) parts.push(part);
    return answer(Buffer.concat(parts));
  });
}

function failing(id: string, code: 'node_unreachable' | 'disk_failure' | 'internal'): KnownNode {
  return node(id, async () => { throw new TrivetError(code, { node: id }); });
}

/** Reads and never answers; notes when it is told to stop. */
function silent(id: string, stopped: string[], begun: () => void = () => {}): KnownNode {
  return node(id, async (body, signal) => {
    begun();
    if (!Buffer.isBuffer(body)) void (async () => { for await (const _ of body); })().catch(() => {});
    return whenAborted(id, signal, stopped);
  });
}

function whenAborted(id: string, signal: AbortSignal, stopped: string[]): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => { stopped.push(id); reject(signal.reason as Error); };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

function requestTo(participants: readonly KnownNode[], changes: Partial<VoteRequest> = {}): VoteRequest {
  const header: VoteHeader = {
    transaction: newId(), commands: [{ ref: 'refs/heads/main', old: '0'.repeat(40), new: 'a'.repeat(40) }], atomic: false,
    policy: { denyDeletes: false, denyNonFastForwards: false }, generation: 0, pack: true,
  };
  return {
    repository: newId(), configured: 3, participants, header, pack: from([Buffer.from('PACK')]), signal: new AbortController().signal, clock: systemClock, silence: NO_SILENCE,
    stallMs: NEVER_MS, graceMs: NEVER_MS, deadlineMs: NEVER_MS, ...changes,
  };
}

function vote(digest: string): VoteAnswer {
  return { vote: digest, verdicts: ['ok'], unpack: 'ok' };
}

async function* from(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
}
