import { readFileSync } from 'node:fs';

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
  readonly #numbers: Record<string, number> = {};

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

  /**
   * A required text that nobody else should see. `<key>_FILE` may name a file that holds it, as containers and service
   * managers hand out secrets; a line break at its end is not part of it. No fault ever shows the text.
   */
  secret(key: string): string {
    const value = this.#take(key);
    const path = this.#take(`${key}_FILE`);
    if (path === undefined) return value ?? this.text(key);
    if (value !== undefined) this.fault(`${key}_FILE`, `and ${key} are both set; only one may be`);
    try {
      const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      if (text === '') this.fault(`${key}_FILE`, `names an empty file, ${path}`);
      return text;
    } catch (error) {
      this.fault(`${key}_FILE`, `can not be read: ${(error as Error).message}`);
      return '';
    }
  }

  /** A whole number within bounds. `unit` is named in the complaint. */
  integer(key: string, fallback: number, bounds: { min: number; max: number; unit: string }): number {
    return this.#numbers[key] = this.#integer(key, fallback, bounds);
  }

  /** All whole numbers that were asked for, with the values that are used. */
  get numbers(): Readonly<Record<string, number>> {
    return this.#numbers;
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
    const parts = value.split(',').map((part) => part.trim()).filter((part) => part !== '');
    if (parts.length === 0) this.fault(key, 'is required');
    return parts.flatMap((part) => {
      if (isBaseUrl(part)) return [part.replace(/\/+$/, '')];
      this.fault(key, `"${part}" is not an http URL without a path`);
      return [];
    });
  }

  fault(key: string, problem: string): void {
    this.#faults.push({ key, problem });
  }

  /**
   * Throws ConfigurationError when anything was wrong. A key with our prefix that nobody asked for is a fault only when
   * it looks like a slip of the pen: controllers and nodes may share one environment file.
   */
  finish(): void {
    for (const key of Object.keys(this.#environment)) {
      if (!key.startsWith(this.#prefix) || this.#known.has(key)) continue;
      const meant = [...this.#known].find((known) => editDistance(known, key) <= 2);
      if (meant !== undefined) this.fault(key, `is not a setting; did you mean ${meant}?`);
    }
    if (this.#faults.length > 0) throw new ConfigurationError(this.#faults);
  }

  #integer(key: string, fallback: number, bounds: { min: number; max: number; unit: string }): number {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (!/^-?\d+$/.test(value) || number < bounds.min || number > bounds.max) {
      this.fault(key, `must be a whole number of ${bounds.unit} from ${bounds.min} to ${bounds.max}, not "${value}"`);
      return fallback;
    }
    return number;
  }

  #take(key: string): string | undefined {
    this.#known.add(key);
    const value = this.#environment[key];
    return value === undefined || value === '' ? undefined : value;
  }
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, pathname, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && /^\/*$/.test(pathname) && search === '' && hash === '';
}

/** Levenshtein distance: how many letters have to be added, taken away or changed. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
