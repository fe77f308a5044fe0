import test from 'ava';
import fc from 'fast-check';
import type { PrepareAnswer } from '@trivet/proto/messages.ts';
import { startBatch, step, type BatchEffect, type BatchEvent, type BatchState } from './machine.ts';
import { quorumOf } from './quorum.ts';

const NODES = ['a', 'b', 'c'];

// Events, as a script writes them.
const promise = (node: string, after = 'x', promised = true): BatchEvent => (
  { type: 'prepared', node, answer: answer(after, promised) });
const refuse = (node: string, code = 'replica_busy'): BatchEvent => ({ type: 'prepare-failed', node, code });
const decided = (decision: 'committed' | 'refused' | 'unknown'): BatchEvent => ({ type: 'decided', decision });
const commit = (node: string, digest = 'x', generation = 2): BatchEvent => (
  { type: 'committed', node, position: { generation, digest } });
const silent = (node: string, code = 'node_unreachable'): BatchEvent => ({ type: 'commit-failed', node, code });
const graceOver: BatchEvent = { type: 'grace-over' };

type Script = [event: BatchEvent, ...effects: string[]][];

const SCRIPTS: [name: string, configured: number, participants: string[], script: Script][] = [
  ['commits when three of three promise and commit', 3, NODES, [
    [promise('a')],
    [promise('b'), 'start-grace prepare'],
    [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [commit('a')],
    [commit('b'), 'start-grace commit'],
    [commit('c'), 'finish committed 3'],
  ]],
  ['decides with two when the third has not promised by the end of the grace', 3, NODES, [
    [promise('a')],
    [promise('b'), 'start-grace prepare'],
    [graceOver, 'abort c', 'decide a b'],
    [decided('committed'), 'commit a b'],
    [commit('b')],
    [commit('a'), 'finish committed 2'],
  ]],
  ['undoes a promise that comes while it decides without it', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [graceOver, 'abort c', 'decide a b'],
    [promise('c'), 'abort c'],
    [decided('committed'), 'commit a b'],
    [commit('a')], [commit('b'), 'finish committed 2'],
  ]],
  ['undoes a promise that comes while the others commit', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [graceOver, 'abort c', 'decide a b'],
    [decided('committed'), 'commit a b'],
    [promise('c'), 'abort c'],
    [commit('a')], [commit('b'), 'finish committed 2'],
  ]],
  ['undoes a promise that comes after the end', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [graceOver, 'abort c', 'decide a b'],
    [decided('refused'), 'abort a b', 'finish refused'],
    [promise('c'), 'abort c'],
  ]],
  ['does not wait for a grace when the third has refused', 3, NODES, [
    [promise('a')],
    [refuse('c', 'node_unreachable')],
    [promise('b'), 'abort c', 'decide a b'],
  ]],
  ['ends the grace early when the third answers within it', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'],
    [refuse('c', 'phase_timeout'), 'abort c', 'decide a b'],
  ]],
  ['gives up as soon as two of three have refused, and undoes everything', 3, NODES, [
    [refuse('a')],
    [refuse('b'), 'abort a b c', 'finish no-quorum a:replica_busy b:replica_busy'],
    [promise('c'), 'abort c'],
  ]],
  ['gives up when all three promise something else', 3, NODES, [
    [promise('a', 'x')], [promise('b', 'y')],
    [promise('c', 'z'), 'abort a b c', 'finish no-quorum a:differs b:differs c:differs'],
  ]],
  ['goes on with two and calls the third diverged when it promises something else', 3, NODES, [
    [promise('a', 'x')], [promise('b', 'y')],
    [promise('c', 'x'), 'abort b', 'decide a c but b'],
    [decided('committed'), 'commit a c', 'mark diverged b'],
    [commit('a')], [commit('c'), 'finish committed 2'],
  ]],
  ['calls nobody diverged for a promise that SQL then refused', 3, NODES, [
    [promise('a', 'x')], [promise('b', 'y')], [promise('c', 'x'), 'abort b', 'decide a c but b'],
    [decided('refused'), 'abort a c', 'finish refused'],
  ]],
  ['waits for the second of two participants, for one is no quorum of three', 3, ['a', 'b'], [
    [promise('a')],
    [promise('b'), 'decide a b'],
  ]],
  ['gives up when one of two participants of three refuses', 3, ['a', 'b'], [
    [promise('a')],
    [refuse('b'), 'abort a b', 'finish no-quorum a:differs b:replica_busy'],
  ]],
  ['a replica that had promised something else than was decided is diverged', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'], [decided('committed'), 'commit a b c'],
    [commit('a')], [commit('b'), 'start-grace commit'], [silent('c', 'promise_differs'), 'mark diverged c', 'finish committed 2'],
  ]],
  ['a replica that would move what the quorum leaves is diverged', 3, NODES, [
    [promise('a', 'x', false)], [promise('b', 'y')], [promise('c', 'x', false), 'abort a b c', 'mark diverged b', 'finish nothing'],
  ]],
  ['ends without a decision when a quorum says that nothing moves', 3, NODES, [
    [promise('a', 'x', false)], [promise('b', 'x', false), 'start-grace prepare'],
    [promise('c', 'x', false), 'abort a b c', 'finish nothing'],
  ]],
  ['undoes every promise when SQL refuses', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('refused'), 'abort a b c', 'finish refused'],
  ]],
  ['leaves every promise alone when SQL does not say', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('unknown'), 'finish unknown'],
    [promise('a')],
  ]],
  ['calls a straggler outdated before it finishes', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [commit('a')], [commit('c'), 'start-grace commit'],
    [graceOver, 'mark outdated b', 'finish committed 3'],
    [commit('b')],
  ]],
  ['calls a node outdated whose commit failed', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [silent('b')], [commit('a')],
    [commit('c'), 'mark outdated b', 'finish committed 3'],
  ]],
  ['calls a node diverged that has other refs after the commit', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [commit('a')], [commit('b', 'z')],
    [commit('c'), 'mark diverged b', 'finish committed 2'],
  ]],
  ['calls a node diverged that did not get as far as it promised', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [commit('a')], [commit('b', 'x', 1)],
    [commit('c'), 'mark diverged b', 'finish committed 2'],
  ]],
  ['accepts a node that is further already, whatever its digest', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [commit('a')], [commit('b', 'z', 3), 'start-grace commit'],
    [commit('c'), 'finish committed 3'],
  ]],
  ['stays a success when no node can say that it committed, and calls none of them outdated', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [decided('committed'), 'commit a b c'],
    [silent('a')], [silent('b')], [silent('c'), 'finish committed 3'],
  ]],
  ['does not count a grace that was never started', 3, NODES, [
    [promise('a')], [graceOver], [promise('b'), 'start-grace prepare'],
  ]],
  ['does not take the grace of prepare for that of commit', 3, NODES, [
    [promise('a')], [promise('b'), 'start-grace prepare'], [promise('c'), 'decide a b c'],
    [graceOver],
    [decided('committed'), 'commit a b c'],
    [graceOver], [commit('a')],
  ]],
  ['hears the same thing twice without doing it twice', 3, NODES, [
    [promise('a')], [promise('a')], [promise('b'), 'start-grace prepare'], [promise('b')], [promise('c'), 'decide a b c'],
    [promise('c')], [decided('committed'), 'commit a b c'], [decided('committed')],
    [commit('a')], [commit('a')], [commit('b'), 'start-grace commit'], [promise('a')], [commit('b')],
    [commit('c'), 'finish committed 3'],
    [commit('c')], [promise('b')], [decided('refused')], [graceOver],
  ]],
  ['needs three of five', 5, ['a', 'b', 'c', 'd', 'e'], [
    [promise('a')], [promise('b')], [refuse('d')], [refuse('e')],
    [promise('c'), 'abort d e', 'decide a b c'],
  ]],
  ['needs one of one', 1, ['a'], [
    [promise('a'), 'decide a'], [decided('committed'), 'commit a'], [commit('a'), 'finish committed 1'],
  ]],
];

for (const [name, configured, participants, script] of SCRIPTS) {
  test(`a batch ${name}`, (t) => {
    let [state, effects] = startBatch({ configured, participants });
    t.deepEqual(effects.map(spell), [`prepare ${participants.join(' ')}`]);
    for (const [i, [event, ...expected]] of script.entries()) {
      [state, effects] = step(state, event);
      t.deepEqual(effects.map(spell), expected, `step ${i + 1}: ${JSON.stringify(event)}`);
    }
  });
}

const OTHER: PrepareAnswer = {
  before: 'y', after: 'y', generation: 3, head: 'refs/heads/y', promised: false, verdicts: [['no']],
};
for (const part of Object.keys(OTHER) as (keyof PrepareAnswer)[]) {
  test(`promises that differ in ${part} make no quorum`, (t) => {
    let [state] = startBatch({ configured: 3, participants: ['a', 'b'] });
    [state] = step(state, promise('a'));
    const [, effects] = step(state, { type: 'prepared', node: 'b', answer: { ...answer('x', true), [part]: OTHER[part] } });
    t.deepEqual(effects.map(spell), ['abort a b', 'finish no-quorum a:differs b:differs']);
  });
}

const choices = fc.array(fc.record({ pick: fc.nat(), how: fc.nat() }), { minLength: 5, maxLength: 40 });
const worlds = fc.integer({ min: 1, max: 5 }).chain((configured) => fc.record({
  configured: fc.constant(configured), participants: fc.integer({ min: 1, max: configured }), choices,
}));

test('whatever the order of events: one result, no decision without a quorum, no abort of what was decided, marks before the end', (t) => {
  fc.assert(fc.property(worlds, (world) => { t.deepEqual(violations(world, step), []); }), { numRuns: 3_000 });
});

test('control: the property notices a machine that decides on the first promise', (t) => {
  const hasty: typeof step = (state, event) => {
    if (state.phase !== 'preparing' || event.type !== 'prepared') return step(state, event);
    const agreed = { answer: event.answer, promised: [event.node], differing: [] };
    return [{ phase: 'deciding', members: state.members, agreed }, [{ type: 'decide', agreed }]];
  };
  t.throws(() => fc.assert(fc.property(worlds, (world) => violations(world, hasty).length === 0)));
});

test('control: the property notices a machine that aborts whoever says again that it promised', (t) => {
  const deaf: typeof step = (state, event) => (
    state.phase === 'committing' && event.type === 'prepared' ? [state, [{ type: 'abort', nodes: [event.node] }]] : step(state, event));
  t.throws(() => fc.assert(fc.property(worlds, (world) => violations(world, deaf).length === 0), { numRuns: 3_000 }));
});

test('control: the property notices a machine that finishes before it marks', (t) => {
  const late: typeof step = (state, event) => {
    const [next, effects] = step(state, event);
    const end = effects.filter((effect) => effect.type === 'finish');
    return [next, [...end, ...effects.filter((effect) => effect.type !== 'finish')]];
  };
  t.throws(() => fc.assert(fc.property(worlds, (world) => violations(world, late).length === 0)));
});

interface World { configured: number; participants: number; choices: readonly { pick: number; how: number }[] }

/**
 * Plays a batch in which whatever is possible may happen next, messages twice or never, and says what went wrong.
 * When the choices are used up, whatever is outstanding happens in order, so that every batch comes to its end.
 */
function violations(world: World, machine: typeof step): string[] {
  const wrong: string[] = [];
  const participants = Array.from({ length: world.participants }, (_, i) => `n${i}`);
  const members = { configured: world.configured, participants };
  const possible: ((how: number) => BatchEvent)[] = [];
  const happened: BatchEvent[] = [];
  const promises = new Map<string, string>();
  const marked = new Set<string>();
  const committed = new Set<string>();
  let agreed: (BatchEffect & { type: 'decide' })['agreed'] | undefined;
  let decision: string | undefined;
  let results = 0;
  const perform = (effect: BatchEffect) => {
    if (results > 0 && effect.type !== 'abort') wrong.push(`${spell(effect)} after the end`);
    switch (effect.type) {
      case 'prepare':
        for (const node of effect.nodes) {
          possible.push((how) => [promise(node), promise(node, 'y'), refuse(node), promise(node)][how % 4]!);
        }
        break;
      case 'start-grace': possible.push(() => graceOver); break;
      case 'decide':
        if (agreed !== undefined) wrong.push('decided twice');
        agreed = effect.agreed;
        for (const node of agreed.promised) if (promises.get(node) !== agreed.answer.after) wrong.push(`${node} never promised that`);
        if (new Set(agreed.promised).size < quorumOf(world.configured)) wrong.push('decided without a quorum');
        possible.push((how) => decided((['committed', 'committed', 'refused', 'unknown'] as const)[how % 4]!));
        break;
      case 'commit':
        if (decision !== 'committed') wrong.push('committed what was not decided');
        for (const node of effect.nodes) {
          possible.push((how) => [commit(node, agreed!.answer.after), silent(node), commit(node, 'z')][how % 3]!);
        }
        break;
      case 'abort':
        if (decision !== 'committed' && decision !== 'unknown') break;
        for (const node of effect.nodes) if (agreed!.promised.includes(node)) wrong.push(`aborted ${node} after the decision`);
        break;
      case 'mark': for (const node of effect.nodes) marked.add(node); break;
      case 'finish':
        results += 1;
        if (effect.result.outcome === 'committed') {
          if (decision !== 'committed') wrong.push('a success that was not decided');
          const missing = agreed!.promised.filter((node) => !committed.has(node) && !marked.has(node));
          if (committed.size >= quorumOf(world.configured) && missing.length > 0) wrong.push(`${missing.join(' ')} not marked`);
        }
    }
  };
  let state: BatchState;
  const run = (effects: readonly BatchEffect[]) => { for (const effect of effects) perform(effect); };
  const take = (event: BatchEvent) => {
    happened.push(event);
    if (event.type === 'prepared') promises.set(event.node, event.answer.after);
    if (event.type === 'decided') decision ??= event.decision;
    if (event.type === 'committed' && event.position.digest === agreed?.answer.after) committed.add(event.node);
    const [next, effects] = machine(state, event);
    state = next;
    run(effects);
  };
  const [first, effects] = startBatch(members);
  state = first;
  run(effects);
  for (const { pick, how } of world.choices) {
    const repeat = how % 7 === 0 && happened.length > 0;
    if (repeat) take(happened[pick % happened.length]!);
    else if (possible.length > 0) take(possible.splice(pick % possible.length, 1)[0]!(how));
  }
  while (possible.length > 0) take(possible.shift()!(0));
  if (results !== 1) wrong.push(`${results} results`);
  return wrong;
}

function answer(after: string, promised: boolean): PrepareAnswer {
  return { before: 'w', after, generation: 2, head: 'refs/heads/main', verdicts: [['ok']], promised };
}

function spell(effect: BatchEffect): string {
  switch (effect.type) {
    case 'start-grace': return `start-grace ${effect.phase}`;
    case 'decide': {
      const { promised, differing } = effect.agreed;
      return `decide ${promised.join(' ')}${differing.length === 0 ? '' : ` but ${differing.join(' ')}`}`;
    }
    case 'mark': return `mark ${effect.state} ${effect.nodes.join(' ')}`;
    case 'finish': {
      const { result } = effect;
      if (result.outcome === 'committed') return `finish committed ${result.copies}`;
      if (result.outcome !== 'no-quorum') return `finish ${result.outcome}`;
      return `finish no-quorum ${Object.entries(result.codes).sort().map((entry) => entry.join(':')).join(' ')}`;
    }
    case 'prepare':
    case 'commit':
    case 'abort': return `${effect.type} ${effect.nodes.join(' ')}`;
  }
}

test('a commit says what was decided, so that nobody commits anything else', (t) => {
  let [state] = startBatch({ configured: 3, participants: NODES });
  let effects: readonly BatchEffect[] = [];
  for (const event of [...NODES.map((node) => promise(node, 'after')), decided('committed')]) [state, effects] = step(state, event);
  t.like(effects.find(({ type }) => type === 'commit'), { after: { generation: 2, digest: 'after' } });
});
