import test from 'ava';
import type { VoteHeader } from '@trivet/proto/messages.ts';
import { systemClock, type Clock } from '@trivet/proto/clock.ts';
import { newId } from '@trivet/proto/id.ts';
import type { Ingest, Quarantine } from '../quarantine/ingest.ts';
import type { Refs } from '../refs/refs.ts';
import { Replica } from '../repository/replica.ts';
import type { Journal } from './journal.ts';
import { Participant } from './participant.ts';

const OID = 'a'.repeat(40);
const HEADER: VoteHeader = {
  transaction: newId(), commands: [{ ref: 'refs/heads/main', old: '0'.repeat(40), new: OID }], atomic: false,
  policy: { denyNonFastForwards: false, denyDeletes: false }, generation: 0, pack: true,
};

function participantWith(options: { maxVotes?: number; clock?: Clock; isWritable?: () => boolean } = {}) {
  const quarantine = { discarded: 0, made: [] as Quarantine[] };
  const ingest = {
    ingest: async () => {
      const made = { typeOf: () => 'commit', discard: async () => { quarantine.discarded += 1; } } as unknown as Quarantine;
      quarantine.made.push(made);
      return { ok: true, quarantine: made };
    },
  };
  const replica = new Replica({ id: newId(), gitDir: '/nowhere.git', objectFormat: 'sha1', refs: {} as Refs, generation: 0 });
  const participant = new Participant(ingest as unknown as Ingest, {} as Journal, async () => {}, options.clock ?? systemClock, { catchUpMs: 1, maxVotes: options.maxVotes ?? 10, isWritable: options.isWritable ?? (() => true) });
  return { participant, replica, quarantine };
}

test('a vote is forgotten when whoever asked for it goes away without the answer', async (t) => {
  const { participant, replica, quarantine } = participantWith();
  const caller = new AbortController();
  t.is((await participant.vote(replica, HEADER, undefined, caller.signal)).unpack, 'ok');
  t.is(replica.votes.size, 1);
  caller.abort();
  t.is(replica.votes.size, 0);
  t.is(quarantine.discarded, 1);
});

test('control: a vote whose answer arrived stays until it is prepared or forgotten', async (t) => {
  const { participant, replica, quarantine } = participantWith();
  await participant.vote(replica, HEADER, undefined, new AbortController().signal);
  t.is(replica.votes.size, 1);
  t.is(quarantine.discarded, 0);
});

test('a vote that comes twice is refused, and only its own objects are dropped', async (t) => {
  const { participant, replica, quarantine } = participantWith();
  const signal = new AbortController().signal;
  const votes = await Promise.allSettled([participant.vote(replica, HEADER, undefined, signal), participant.vote(replica, HEADER, undefined, signal)]);
  t.deepEqual(votes.map(({ status }) => status), ['fulfilled', 'rejected']);
  t.is(replica.votes.size, 1);
  t.is(quarantine.discarded, 1);
  t.not(replica.votes.get(HEADER.transaction)!.quarantine, quarantine.made.at(-1));
});

test('a replica that holds as many votes as it may takes no more', async (t) => {
  const { participant, replica } = participantWith({ maxVotes: 1 });
  const signal = new AbortController().signal;
  await participant.vote(replica, HEADER, undefined, signal);
  await t.throwsAsync(participant.vote(replica, { ...HEADER, transaction: newId() }, undefined, signal), { message: /too many requests/ });
});

for (const looks of [0, 1]) {
  test(`a node without room for another push doesn't vote, be it found out ${looks === 0 ? 'before the pack or' : ''} after it, and keeps nothing of it`, async (t) => {
    let left = looks;
    const { participant, replica, quarantine } = participantWith({ isWritable: () => left-- > 0 });
    await t.throwsAsync(participant.vote(replica, HEADER, undefined, new AbortController().signal), { code: 'disk_failure' });
    t.is(replica.votes.size, 0);
    t.is(quarantine.made.length, looks);
    t.is(quarantine.discarded, looks);
  });
}

test('a vote that nobody prepared in time is forgotten, however the wall clock was set meanwhile', async (t) => {
  const clock = { ...systemClock, now: () => t.fail() as never, elapsed: () => 5_000 };
  const { participant, replica, quarantine } = participantWith({ clock });
  await participant.vote(replica, HEADER, undefined, new AbortController().signal);
  await participant.expireVotes(replica, 4_000);
  t.is(replica.votes.size, 1);
  await participant.expireVotes(replica, 6_000);
  t.is(replica.votes.size, 0);
  t.is(quarantine.discarded, 1);
});

for (const [head, verdict] of [['refs/heads/other', 'ok'], ['refs/tags/t', 'HEAD can only point at a branch'], ['refs/heads/..', 'HEAD can only point at a branch']] as const) {
  test(`a change of HEAD to ${head} is voted on behind the commands: ${verdict}`, async (t) => {
    const { participant, replica } = participantWith();
    const { verdicts } = await participant.vote(replica, { ...HEADER, commands: [], head, pack: false }, undefined, new AbortController().signal);
    t.deepEqual(verdicts, [verdict]);
    t.is(replica.votes.get(HEADER.transaction)!.head, head);
  });
}
