/** What the CLI takes from its environment. */
export interface CliEnvironment {
  /** TRIVET_CONTROLLER_URL: base URLs of controllers, separated by commas. */
  controllers: string;
  /** NO_COLOR (https://no-color.org): anything but the empty string. */
  noColour: boolean;
  /** TERM=dumb: a terminal that only knows text. */
  dumb: boolean;
}

export const DEFAULT_CONTROLLER = 'http://127.0.0.1:8081';

export function readCliEnvironment(environment: NodeJS.ProcessEnv): CliEnvironment {
  return {
    controllers: environment['TRIVET_CONTROLLER_URL'] || DEFAULT_CONTROLLER,
    noColour: (environment['NO_COLOR'] ?? '') !== '',
    dumb: environment['TERM'] === 'dumb',
  };
}
