import test from 'ava';
import { dueFor, type Due, type Facts } from './due.ts';

const DAY_MS = 86_400_000;
const fresh: Facts = { packs: 2, loose: false, coveredObjects: 10_000, uncoveredObjects: 10, uncoveredPacks: 1, bitmap: true, indexAgeMs: 0, retired: false };

const CASES: [name: string, change: Partial<Facts>, due: Due | undefined][] = [
  ['a store in order needs nothing', {}, undefined],
  ['so many packs are combined', { packs: 50 }, { reason: 'packs', urgent: false }],
  ['far more can not wait', { packs: 1_000 }, { reason: 'packs', urgent: true }],
  ['loose objects are gathered', { loose: true }, { reason: 'loose', urgent: false }],
  ['bitmaps are made anew when a quarter has come', { uncoveredObjects: 2_500 }, { reason: 'index', urgent: false }],
  ['not for a few objects', { coveredObjects: 0, uncoveredObjects: 900, bitmap: false }, undefined],
  ['but once a day', { indexAgeMs: DAY_MS }, { reason: 'index', urgent: false }],
  ['not without a push', { indexAgeMs: DAY_MS, uncoveredObjects: 0, uncoveredPacks: 0 }, undefined],
  ['what was left to be removed is', { retired: true }, { reason: 'retired', urgent: false }],
];

for (const [name, change, due] of CASES) {
  test(name, (t) => { t.deepEqual(dueFor({ ...fresh, ...change }, { packs: 50, urgentPacks: 1_000 }), due); });
}
