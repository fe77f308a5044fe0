import { newId } from '@trivet/proto/id.ts';
import type { Database } from './database.ts';
import { Decisions, type Settled } from './decisions.ts';
import { Outbox } from './outbox.ts';
import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { digestOf, seed, step, storeTest } from './stores-under-test.ts';
import { untilBlocked } from './until-blocked.ts';

const DAY_MS = 86_400_000;

async function statesOf(db: Database, id: string): Promise<string[]> {
  const route = await new Repositories(db).routeById(id);
  return route!.replicas.map((replica) => `${replica.node} ${replica.state} ${replica.generation}`);
}

storeTest('a commit moves the repository and its promising replicas, and tells the outbox', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  const decision = step(repository, 0);
  decision.after.head = 'refs/heads/trunk';
  const events = [{ kind: 'push', payload: { refs: ['refs/heads/ü'] } }];
  t.is(await decisions.commit({ ...decision, events }), 'committed');
  const route = await new Repositories(db).route(repository.name);
  t.like(route!.repository, { generation: 1, digest: digestOf(1), defaultBranch: 'refs/heads/trunk' });
  t.deepEqual(await statesOf(db, repository.id), ['n1 current 1', 'n2 current 1', 'n3 current 1']);
  t.true(route!.replicas.every((replica) => replica.digest === digestOf(1)));
  t.is(await decisions.outcome(decision.transactions), 'commit');
  const [event] = await new Outbox(db).after(0, 10);
  t.like(event, { repository: repository.id, kind: 'push', payload: events[0]!.payload });
  t.deepEqual(await new RepairJobs(db).page({ state: 'open', limit: 100 }), []);
});

const CLAIM = { holder: 'c1', leaseMs: 600_000, nodes: ['n3'], limit: 1 };

storeTest('a replica that missed a commit is outdated and has one repair job', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  await decisions.commit(step(repository, 0, ['n1', 'n2']));
  await decisions.commit(step(repository, 1, ['n1', 'n2']));
  t.deepEqual(await statesOf(db, repository.id), ['n1 current 2', 'n2 current 2', 'n3 outdated 0']);
  const jobs = await new RepairJobs(db).page({ state: 'open', limit: 100 });
  t.deepEqual(jobs.map(({ node, reason, detail }) => [node, reason, detail]), [['n3', 'outdated', 'missed a commit']]);
});

storeTest('a commit from another generation or another digest is refused and leaves nothing', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  for (const before of [{ generation: 1, digest: digestOf(0) }, { generation: 0, digest: digestOf(1) }]) {
    const decision = { ...step(repository, 0), before, events: [{ kind: 'push', payload: {} }] };
    t.is(await decisions.commit(decision), 'refused');
    t.is(await decisions.outcome(decision.transactions), undefined);
  }
  t.is(await decisions.commit({ ...step(repository, 0), repository: newId() }), 'refused', 'a removed repository');
  t.deepEqual(await statesOf(db, repository.id), ['n1 current 0', 'n2 current 0', 'n3 current 0']);
  t.deepEqual(await new Outbox(db).after(0, 10), []);
});

storeTest('a generation never falls', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decision = step(repository, 0);
  decision.after.generation = 0;
  t.is(await new Decisions(db, 'c1').commit(decision), 'refused');
});

storeTest('of two commits from the same generation exactly one is committed', async (t, store) => {
  const db = await store.open();
  const other = store.dialect === 'mysql' ? await store.open() : db;
  const repository = await seed(db);
  for (let generation = 0; generation < 10; generation++) {
    const answers = await Promise.all([db, other, db, other].map((one, i) => (
      new Decisions(one, `c${i}`).commit(step(repository, generation)))));
    t.deepEqual(answers.sort(), ['committed', 'refused', 'refused', 'refused']);
  }
  t.is((await new Repositories(db).routeById(repository.id))!.repository.generation, 10);
});

storeTest('a transaction that is decided already refuses its whole batch', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  const decision = step(repository, 0);
  t.deepEqual(await decisions.settle(decision), { outcome: 'abort' });
  const late = { ...decision, transactions: [newId(), ...decision.transactions] };
  t.is(await decisions.commit(late), 'refused');
  t.is(await decisions.outcome([late.transactions[0]!]), undefined);
  t.is((await new Repositories(db).routeById(repository.id))!.repository.generation, 0);
});

for (const state of ['diverged', 'corrupt', 'repairing', 'missing'] as const) {
  storeTest(`a promise doesn't make a ${state} replica current, nor count for the quorum`, async (t, store) => {
    const db = await store.open();
    const repository = await seed(db);
    const decisions = new Decisions(db, 'c1');
    await new Replicas(db).mark(repository.id, ['n3'], state === 'repairing' ? 'outdated' : state, 'a test');
    if (state === 'repairing') await new RepairJobs(db).begin((await new RepairJobs(db).claim(CLAIM))[0]!);
    t.is(await decisions.commit(step(repository, 0, ['n1', 'n3'])), 'refused');
    t.is(await decisions.commit(step(repository, 0)), 'committed');
    t.deepEqual(await statesOf(db, repository.id), ['n1 current 1', 'n2 current 1', `n3 ${state} 0`]);
  });
}

storeTest('a promise makes an outdated replica current again', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new Replicas(db).mark(repository.id, ['n3'], 'outdated', 'slow');
  const [job] = await new RepairJobs(db).claim(CLAIM);
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
  t.deepEqual(await statesOf(db, repository.id), ['n1 current 1', 'n2 current 1', 'n3 current 1']);
  // A repair that is at it already might bring what the source had before this commit.
  t.is(await new RepairJobs(db).begin(job!), 'lost');
  t.like(await new RepairJobs(db).get(job!.id), { state: 'done' });
});

storeTest('settling an unknown batch aborts it, again and again, and its commit comes too late', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decision = { ...step(repository, 0), transactions: [newId(), newId()] };
  const decisions = new Decisions(db, 'c1');
  t.deepEqual(await Promise.all([1, 2, 3].map(() => decisions.settle(decision))), Array(3).fill({ outcome: 'abort' }));
  t.is(await decisions.outcome(decision.transactions), 'abort');
  t.is(await decisions.commit(decision), 'refused');
});

storeTest('settling a committed batch answers commit', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decision = { ...step(repository, 0), transactions: [newId(), newId()] };
  const decisions = new Decisions(db, 'c1');
  await decisions.commit(decision);
  t.deepEqual(await decisions.settle(decision), { outcome: 'commit', after: { generation: 1, digest: digestOf(1) } });
  t.deepEqual(await decisions.settle({ ...decision, transactions: decision.transactions.slice(1) }), { outcome: 'commit', after: { generation: 1, digest: digestOf(1) } });
});

storeTest('a batch is aborted when one of its transactions was committed in another batch', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  const first = { ...step(repository, 0), transactions: [newId(), newId()] };
  await decisions.commit({ ...step(repository, 0), transactions: first.transactions.slice(0, 1) });
  t.deepEqual(await decisions.settle(first), { outcome: 'abort' });
  t.is(await decisions.outcome(first.transactions), 'abort');
});

storeTest('when settling races a commit, there is one outcome', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  let generation = 0;
  for (let i = 0; i < 20; i++) {
    const decision = { ...step(repository, generation), transactions: [newId(), newId()] };
    const asked = i % 2 === 0 ? decision : { ...decision, transactions: [...decision.transactions].reverse() };
    const race = [() => decisions.commit(decision), () => decisions.settle(asked)];
    const [committed, settled] = i % 3 === 0
      ? (await Promise.all(race.reverse().map((start) => start()))).reverse()
      : await Promise.all(race.map((start) => start()));
    const { outcome } = settled as Settled;
    t.is(outcome, committed === 'committed' ? 'commit' : 'abort');
    t.is(await decisions.outcome(decision.transactions), outcome);
    if (committed === 'committed') generation++;
  }
});

for (const [end, expected] of [['commits', 'commit'], ['rolls back', 'abort']] as const) {
  storeTest(`settling waits for a commit under way, and answers ${expected} when that ${end}`, async (t, store) => {
    const db = await store.open();
    const repository = await seed(db);
    const { batch, transactions } = step(repository, 0);
    let settling: Promise<Settled> | undefined;
    const underWay = db.sql.transaction(async (statements) => {
      await statements.run(
        `INSERT INTO transactions (id, batch, repository_id, outcome, generation, digest, decided_by, decided_at)
         VALUES (?, ?, ?, 'commit', 1, ?, 'c2', ?)`, [transactions[0]!, batch, repository.id, digestOf(1), new Date()],
      );
      settling = new Decisions(db, 'c1').settle({ repository: repository.id, batch, transactions });
      await untilBlocked(db, settling!);
      if (end === 'rolls back') throw new Error('rolled back by the test');
    });
    if (end === 'commits') await underWay;
    else await t.throwsAsync(underWay);
    t.is((await settling)!.outcome, expected);
  });
}

/** As if a decision had been made so many days ago. */
async function age(db: Database, transaction: string, days: number): Promise<void> {
  await db.sql.run('UPDATE transactions SET decided_at = ? WHERE id = ?', [new Date(Date.now() - days * DAY_MS), transaction]);
}

storeTest('old decisions go, but never the one that the repository stands at', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  const steps = [0, 1, 2].map((generation) => step(repository, generation));
  for (const one of steps) {
    t.is(await decisions.commit(one), 'committed');
    await age(db, one.transactions[0]!, 100);
  }
  const [aborted, fresh] = [step(repository, 3), step(repository, 3)];
  await decisions.settle(aborted);
  await age(db, aborted.transactions[0]!, 8);
  await decisions.settle(fresh);
  t.is(await decisions.prune(90 * DAY_MS, 100), 3);
  t.deepEqual((await decisions.page({ limit: 10 })).map(({ id }) => id).sort(), [steps[2]!.transactions[0], fresh.transactions[0]].sort());
  t.deepEqual(await decisions.settle(steps[2]!), { outcome: 'commit', after: { generation: 3, digest: digestOf(3) } });
  t.deepEqual(await decisions.settle(aborted), { outcome: 'abort' }, 'what nobody remembers is aborted again');
});

storeTest('a few at a time, all that may go goes, past what stays', async (t, store) => {
  const db = await store.open();
  const decisions = new Decisions(db, 'c1');
  const made = [];
  for (const name of ['one', 'two', 'three']) {
    const repository = await seed(db, name);
    for (const generation of [0, 1]) {
      const one = step(repository, generation);
      await decisions.commit(one);
      made.push(one.transactions[0]!);
    }
  }
  for (const [i, id] of made.entries()) await age(db, id, 200 - i);
  let removed = 0;
  for (let pass = 0; pass < 10; pass++) removed += await decisions.prune(90 * DAY_MS, 2);
  t.is(removed, 3);
  t.is((await decisions.page({ limit: 10 })).length, 3);
});

storeTest('a coordinator that was stopped until its abort may be forgotten commits nothing any more', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  const late = { ...step(repository, 0), batch: newId(Date.now() - 4 * DAY_MS) };
  t.is(await decisions.commit(late), 'refused');
  const control = { ...late, batch: newId(Date.now() - 3 * DAY_MS) };
  t.is(await decisions.commit(control), 'committed', 'control: the same, in time');
});
