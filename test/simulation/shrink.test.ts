import test from 'ava';
import { CONTROLS } from './controls.ts';
import { optionsOf } from './seeds.ts';
import { shrink } from './shrink.ts';
import { Simulation, type RunInput } from './simulation.ts';
import { formatStory, tellRun } from './story.ts';

test('a failing run is shrunk to what it needs, fails in the same way, and is told as a story', async (t) => {
  const control = CONTROLS.find(({ name }) => name === 'unique decision')!;
  let input: RunInput | undefined;
  let failed = undefined as Awaited<ReturnType<Simulation['run']>> | undefined;
  for (let seed = 1; failed?.violation === undefined && seed < control.maxRuns; seed++) {
    input = { seed, options: optionsOf(seed, { set: control.set }), guards: control.guards };
    failed = await new Simulation(input).run();
  }
  const { only, violation } = await shrink(input!, failed!);
  t.true(only.length < failed!.struck.length);
  t.is(violation.checker, failed!.violation!.checker);
  t.true(only.some((name) => name.startsWith('op#')), 'somebody must have pushed');
  const { lines, result } = await tellRun({ ...input!, only: new Set(only) });
  t.deepEqual(result.violation, violation, 'the shrunk run can be replayed');
  const story = formatStory(lines, result);
  t.regex(story, /^ +1 +\d+\.\d ms {2}/);
  t.true(story.includes(`VIOLATED at ${violation.atMs.toFixed(1)} ms: ${violation.checker}`));
  for (const name of only) {
    const without = await new Simulation({ ...input!, only: new Set(only.filter((each) => each !== name)) }).run();
    t.not(without.violation?.checker, violation.checker, `${name} is needed`);
  }
});
