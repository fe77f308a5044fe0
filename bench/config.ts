import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

export const MEASURES = ['small-push', 'many-clients', 'many-refs', 'clone', 'large-push'] as const;
export type MeasureName = (typeof MEASURES)[number];

/** What the command line asked for. */
export interface BenchOptions {
  quick: boolean;
  markdown: boolean;
  only: readonly MeasureName[];
  /** Where the JSON goes; undefined: `bench/results/<time>.json`. */
  json: string | undefined;
  /** `sqlite` or a `mysql://` URL, handed to the cluster as it is. */
  store: string;
  /** What is compared with the plain server. `plain` measures it against itself: the noise of the machine. */
  against: 'trivet' | 'plain';
  help: boolean;
}

export const USAGE = `usage: npm run bench -- [options]
  --quick             fewer rounds, and 100 MB in place of 500 MB
  --only NAME,NAME    some of ${MEASURES.join(', ')}
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
  return { ...values, against, only: parseOnly(values.only), json: values.json };
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

function parseOnly(text: string | undefined): readonly MeasureName[] {
  if (text === undefined) return MEASURES;
  return text.split(',').map((word) => {
    const name = MEASURES.find((candidate) => candidate === word.trim());
    if (name === undefined) {
      throw new TypeError(`--only: no measure is called "${word}"; there are ${MEASURES.join(', ')}`);
    }
    return name;
  });
}
