import test from 'ava';
import { judge, type Facts } from './problems.ts';
import { facts, NODE } from './facts-under-test.ts';

const INTERVALS = { verifyMs: 3_600_000, checkMs: 86_400_000 };
const atRisk = (byKind: Partial<Facts['atRisk']['byKind']>): Facts['atRisk'] => (
  { total: 1, byKind: { under_replicated: 0, no_quorum: 0, unavailable: 0, ...byKind }, first: [] });
const codes = (different: Partial<Facts>) => {
  const { verdict, problems } = judge(facts(different), INTERVALS);
  return [verdict, ...problems.map(({ code }) => code)];
};

test('a cluster in which everything is as it shall be is ok', (t) => {
  t.deepEqual(judge(facts(), INTERVALS), { verdict: 'ok', problems: [] });
});

const CASES: [what: string, different: Partial<Facts>, expected: string[]][] = [
  ['a repository that can not be read', { atRisk: atRisk({ unavailable: 1 }) }, ['critical', 'unavailable']],
  ['a repository without a quorum', { atRisk: atRisk({ no_quorum: 1 }) }, ['critical', 'no_quorum']],
  ['a repository with two replicas of three', { atRisk: atRisk({ under_replicated: 1 }) }, ['degraded', 'under_replicated']],
  ['a node that does not answer', { nodes: [{ ...NODE, state: 'cordoned', trouble: 'node_unreachable' }] }, ['degraded', 'node_cordoned']],
  ['a node that was removed', { nodes: [{ ...NODE, state: 'removed', diskFreeBytes: 0 }] }, ['ok']],
  ['a node that is being drained', { nodes: [{ ...NODE, state: 'draining' }] }, ['ok']],
  ['a disk that is nearly full', { nodes: [{ ...NODE, diskFreeBytes: 9 }] }, ['degraded', 'disk_nearly_full']],
  ['a disk that is not', { nodes: [{ ...NODE, diskFreeBytes: 10 }] }, ['ok']],
  ['a wrong clock', { nodes: [{ ...NODE, clockWrong: true }] }, ['degraded', 'clock_wrong']],
  ['a transaction in doubt', { transactionsInDoubt: 1 }, ['degraded', 'in_doubt']],
  ['an open finding', { findings: { outdated: 0, diverged: 1, corrupt: 0, missing: 0, unknown: 0 } }, ['degraded', 'findings_open']],
  ['refs that were not verified for two intervals', { verification: { oldestVerifiedAt: '2026-11-01T09:59:59.000Z', oldestCheckedAt: null } }, ['degraded', 'verification_overdue']],
  ['objects that were not checked for two intervals', { verification: { oldestVerifiedAt: null, oldestCheckedAt: '2026-10-30T11:00:00.000Z' } }, ['degraded', 'check_overdue']],
  ['a controller that was told something else', { controllers: [{ name: 'controller1', version: '0', running: true, differs: true }] }, ['degraded', 'settings_differ']],
  ['one that is gone', { controllers: [{ name: 'controller1', version: '0', running: false, differs: true }] }, ['ok']],
  ['the worst first', { transactionsInDoubt: 1, atRisk: atRisk({ no_quorum: 2, under_replicated: 1 }) }, ['critical', 'no_quorum', 'under_replicated', 'in_doubt']],
];
for (const [what, different, expected] of CASES) {
  test(`judged: ${what}`, (t) => {
    t.deepEqual(codes(different), expected);
  });
}

test('a problem names the node that it is with', (t) => {
  const { problems } = judge(facts({ nodes: [{ ...NODE, id: 'node2', state: 'cordoned', trouble: 'node_unreachable' }] }), INTERVALS);
  t.deepEqual(problems, [{ severity: 'degraded', code: 'node_cordoned', text: 'node2 is out of service: node_unreachable', node: 'node2', repository: null }]);
});
