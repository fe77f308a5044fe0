/** Where settings come from: `process.env`, or a test's own object. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One fault of the configuration: which key, and what is wrong with it. */
export interface SettingFault {
  key: string;
  problem: string;
}

/** All faults of a configuration at once, so that an operator mends them in one go. */
export class ConfigurationError extends Error {
  readonly faults: readonly SettingFault[];

  constructor(faults: readonly SettingFault[]) {
    super(['wrong configuration:', ...faults.map((fault) => `  ${fault.key}: ${fault.problem}`)].join('\n'));
    this.name = 'ConfigurationError';
    this.faults = faults;
  }
}

/** Reads typed settings and remembers what was wrong; `finish` throws all faults together. */
export class Settings {
  readonly #environment: Environment;
  readonly #faults: SettingFault[] = [];
  readonly #known = new Set<string>();
  readonly #prefix: string;

  /** @param prefix every key that begins with it must be one that was asked for */
  constructor(environment: Environment, prefix: string) {
    this.#environment = environment;
    this.#prefix = prefix;
  }

  /** A text; without `fallback` the key is required. */
  text(key: string, fallback?: string): string {
    const value = this.#take(key);
    if (value !== undefined) return value;
    if (fallback === undefined) this.fault(key, 'is required');
    return fallback ?? '';
  }

  optionalText(key: string): string | undefined {
    return this.#take(key);
  }

  /** A whole number within bounds. `unit` is named in the complaint. */
  integer(key: string, fallback: number, bounds: { min: number; max: number; unit: string }): number {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (!/^-?\d+$/.test(value) || number < bounds.min || number > bounds.max) {
      this.fault(key, `must be a whole number of ${bounds.unit} from ${bounds.min} to ${bounds.max}, not "${value}"`);
      return fallback;
    }
    return number;
  }

  /** One of a few words. */
  choice<T extends string>(key: string, choices: readonly T[], fallback: T): T {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.fault(key, `must be one of ${choices.join(', ')}, not "${value}"`);
    return choice ?? fallback;
  }

  /** An http or https URL without a path; a list of them is separated by commas. */
  urls(key: string): string[] {
    const value = this.#take(key);
    if (value === undefined) {
      this.fault(key, 'is required');
      return [];
    }
    return value.split(',').map((part) => part.trim()).filter((part) => part !== '').flatMap((part) => {
      if (URL.canParse(part) && /^https?:$/.test(new URL(part).protocol)) return [part.replace(/\/+$/, '')];
      this.fault(key, `"${part}" is not an http URL`);
      return [];
    });
  }

  fault(key: string, problem: string): void {
    this.#faults.push({ key, problem });
  }

  /** Throws ConfigurationError when anything was wrong, unknown keys with our prefix included. */
  finish(): void {
    for (const key of Object.keys(this.#environment)) {
      if (key.startsWith(this.#prefix) && !this.#known.has(key)) this.fault(key, 'is not a setting of this program');
    }
    if (this.#faults.length > 0) throw new ConfigurationError(this.#faults);
  }

  #take(key: string): string | undefined {
    this.#known.add(key);
    const value = this.#environment[key];
    return value === undefined || value === '' ? undefined : value;
  }
}
