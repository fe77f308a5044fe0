import test from 'ava';
import { COMPARISONS, parseOptions, RELIABILITY } from './config.ts';

for (const [args, comparisons, reliability] of [
  [[], COMPARISONS, []],
  [['--quick'], COMPARISONS, []],
  [['--reliability'], [], RELIABILITY],
  [['--growth'], [], []],
  [['--only', 'growth'], [], []],
  [['--only', 'clone'], ['clone'], []],
  [['--only', 'coordinator, kill-node'], [], ['kill-node', 'coordinator']],
  [['--only', 'repair,small-push'], ['small-push'], ['repair']],
] as const) {
  test(`"${args.join(' ')}" runs ${[...comparisons, ...reliability].join(', ')}`, (t) => {
    const options = parseOptions(args);
    t.deepEqual(options.comparisons, comparisons);
    t.deepEqual(options.reliability, reliability);
    t.is(options.growth, args.some((arg) => arg.includes('growth')));
  });
}

for (const [args, message] of [
  [['--only', 'clone,nothing'], /no measure is called "nothing"/],
  [['--only', 'clone', '--reliability'], /give one/],
  [['--growth', '--reliability'], /give one/],
  [['--against', 'other'], /--against takes/],
  [['--store', 'postgres://x'], /--store takes/],
  [['--unknown'], /unknown/i],
] as const) {
  test(`"${args.join(' ')}" is refused`, (t) => {
    t.throws(() => parseOptions(args), { instanceOf: TypeError, message });
  });
}
