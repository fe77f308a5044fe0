import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

/** Side by side with a plain server. */
export const COMPARISONS = ['small-push', 'many-clients', 'many-refs', 'clone', 'large-push'] as const;
/** What happens when something breaks: Trivet alone. */
export const RELIABILITY = [
  'kill-node', 'stop-node', 'catch-up', 'repair', 'bit-flip', 'coordinator', 'simulation',
] as const;
/** Whether a repository stays as fast as it was. */
export const GROWTH = ['growth'] as const;
export type GrowthName = (typeof GROWTH)[number];
/** Many repositories, made up of rows. */
export const SCALE = ['scale'] as const;
export type ComparisonName = (typeof COMPARISONS)[number];
export type ReliabilityName = (typeof RELIABILITY)[number] | (typeof SCALE)[number];
export type MeasureName = ComparisonName | ReliabilityName | GrowthName;

/** What the command line asked for. */
export interface BenchOptions {
  quick: boolean;
  markdown: boolean;
  comparisons: readonly ComparisonName[];
  reliability: readonly ReliabilityName[];
  growth: boolean;
  /** Where the JSON goes; undefined: `bench/results/<time>.json`. */
  json: string | undefined;
  /** `sqlite` or a `mysql://` URL, handed to the cluster as it is. */
  store: string;
  /** What is compared with the plain server. `plain` measures it against itself: the noise of the machine. */
  against: 'trivet' | 'plain';
  help: boolean;
}

export const USAGE = `usage: npm run bench -- [options]
  Without --only, --reliability, --growth and --scale it compares Trivet with a plain server: ${COMPARISONS.join(', ')}.
  --reliability       what happens when something breaks, instead: ${RELIABILITY.join(', ')}
  --growth            how fast a repository is after many pushes, instead
  --scale             100,000 repositories on 30 nodes, as rows in a MariaDB, instead
  --only NAME,NAME    some measures of any kind
  --quick             fewer rounds, and 100 MB in place of 500 MB or 1 GB
  --store STORE       sqlite (default) or mysql://user:password@host:port/database
  --against TARGET    trivet (default), or plain: the plain server against itself, which shows the noise
  --json FILE         where the figures go (default: bench/results/)
  --markdown          print the table as Markdown`;

/** Reads the command line. Throws TypeError for an unknown option or value. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      only: { type: 'string' },
      reliability: { type: 'boolean', default: false },
      scale: { type: 'boolean', default: false },
      growth: { type: 'boolean', default: false },
      json: { type: 'string' },
      store: { type: 'string', default: 'sqlite' },
      against: { type: 'string', default: 'trivet' },
      help: { type: 'boolean', default: false },
    },
  });
  const { against } = values;
  if (against !== 'trivet' && against !== 'plain') {
    throw new TypeError(`--against takes trivet or plain, not "${against}"`);
  }
  if (values.store !== 'sqlite' && !values.store.startsWith('mysql://')) {
    throw new TypeError('--store takes sqlite or a mysql:// URL');
  }
  if ([values.reliability, values.growth, values.scale, values.only !== undefined].filter(Boolean).length > 1) {
    throw new TypeError('--only names measures, --reliability, --growth and --scale all of a kind: give one');
  }
  const { quick, markdown, json, store, help } = values;
  const named = chosen(values.growth ? 'growth' : values.only, values.reliability);
  return { quick, markdown, json, store, help, against, ...named, ...(values.scale ? { comparisons: [], reliability: SCALE } : {}) };
}

/** The directory that scratch directories and the cache of built repositories go into. */
export function temporaryDirectory(): string {
  return tmpdir();
}

/** The environment of the Trivet cluster: that of whoever started the bench, settings of Trivet included. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/**
 * The environment of the plain server and of the git that builds repositories: nothing but where programs are, so
 * that nobody's ~/.gitconfig enters a figure.
 * @param home an existing directory without git configuration
 */
export function bareEnvironment(home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
  };
}

function chosen(only: string | undefined, reliability: boolean): Pick<BenchOptions, 'comparisons' | 'reliability' | 'growth'> {
  if (only === undefined) return { comparisons: reliability ? [] : COMPARISONS, reliability: reliability ? RELIABILITY : [], growth: false };
  const words = only.split(',').map((word) => word.trim());
  for (const word of words) {
    const names = [...COMPARISONS, ...RELIABILITY, ...GROWTH];
    if (!names.some((name) => name === word)) {
      throw new TypeError(`--only: no measure is called "${word}"; there are ${names.join(', ')}`);
    }
  }
  return { comparisons: COMPARISONS.filter((name) => words.includes(name)), reliability: RELIABILITY.filter((name) => words.includes(name)), growth: words.includes(GROWTH[0]) };
}
