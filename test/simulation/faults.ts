import { Random } from './random.ts';

/** Faults that may strike whenever something happens, each with a probability in the options. */
export type FaultKind =
  | 'lost' | 'doubled' | 'late' | 'reset'
  | 'crash' | 'disk-slow' | 'promise-gone'
  | 'sql-gone' | 'sql-slow' | 'sql-answer-lost' | 'commit-lost' | 'commit-applied' | 'commit-late'
  | 'turn-lost' | 'client-leaves';

/**
 * Decides whether a fault strikes. The n-th question about one kind has one answer for a seed, whatever was asked
 * before about others; so a fault can be named (`lost#17`), and taken away without moving the rest.
 */
export class Faults {
  readonly #seed: number;
  readonly #probabilities: Readonly<Record<string, number>>;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #streams = new Map<string, { random: Random; asked: number }>();
  readonly #struck: string[] = [];
  #active = true;

  /** @param only the names of the faults that may strike; undefined lets all of them */
  constructor(seed: number, probabilities: Readonly<Record<string, number>>, only?: ReadonlySet<string>) {
    this.#seed = seed;
    this.#probabilities = probabilities;
    this.#only = only;
  }

  /** The names of what has struck, in order. */
  get struck(): readonly string[] {
    return this.#struck;
  }

  /** From now on nothing strikes any more. */
  end(): void {
    this.#active = false;
  }

  strikes(kind: FaultKind): boolean {
    const probability = this.#probabilities[kind];
    if (!this.#active || probability === undefined || probability === 0) return false;
    let stream = this.#streams.get(kind);
    if (stream === undefined) this.#streams.set(kind, stream = { random: new Random(this.#seed, kind), asked: 0 });
    const nth = stream.asked++;
    if (stream.random.next() >= probability) return false;
    return this.allows(`${kind}#${nth}`);
  }

  /** Whether a fault (or an operation) of this name may be; remembers that it was. */
  allows(name: string): boolean {
    if (this.#only !== undefined && !this.#only.has(name)) return false;
    this.#struck.push(name);
    return true;
  }
}
