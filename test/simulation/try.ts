import { Simulation } from '/tmp/trivet/sim/test/simulation/simulation.ts';
import { CALM, drawOptions } from '/tmp/trivet/sim/test/simulation/options.ts';
const [mode, from, count, verbose] = process.argv.slice(2);
const t0 = performance.now();
let events = 0, bad = 0; const kinds = new Map<string, number>();
const tally = { acknowledged: 0, failed: 0, unknown: 0 };
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  const options = mode === 'calm' ? { ...CALM, liveness: true } : drawOptions(seed, mode === 'live');
  const s = new Simulation({ seed, options, tell: verbose === '-v' ? (at, who, text) => console.log(at.toFixed(1).padStart(8), who.padEnd(10), text) : undefined });
  const r = await s.run();
  events += r.events;
  for (const k of Object.keys(tally) as (keyof typeof tally)[]) tally[k] += r.pushes[k];
  if (r.violation) { bad++; const key = r.violation.checker + ': ' + r.violation.problem.replace(/[0-9a-f]{8}/g,'X').replace(/\d+/g,'N').slice(0, 150); kinds.set(key, (kinds.get(key) ?? 0) + 1); if (kinds.get(key)! <= 2) console.log(seed, r.violation.checker, '|', r.violation.problem.slice(0, 600), r.violation.atMs.toFixed(0)); }
}
const s = (performance.now() - t0) / 1000;
console.log({ runs: Number(count), s, perSec: Number(count) / s, eventsPerRun: events / Number(count), bad, ...tally });
for (const [k, n] of [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 25)) console.log(n, k);
