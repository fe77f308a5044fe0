import type { ErrorAnswer } from '../rest/error.ts';
import { printable } from './terminal/printable.ts';

/** No controller gave an answer that can be used. */
export class Unreachable extends Error {
  /** @param tried each controller's URL, and what went wrong with it */
  constructor(tried: readonly { url: string; problem: string }[], options?: { cause?: unknown }) {
    super(tried.length === 1
      ? `can't reach the cluster: ${tried[0]!.url} ${tried[0]!.problem}`
      : ["can't reach the cluster:", ...tried.map(({ url, problem }) => `  ${url} ${problem}`)].join('\n'), options);
  }
}

/** A controller answered with an error. */
export class Refused extends Error {
  readonly status: number;
  readonly answer: ErrorAnswer;

  constructor(status: number, answer: ErrorAnswer) {
    const fields = Object.entries(answer.fields).map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
    super(printable(`${answer.message} (${answer.code})${fields.length === 0 ? '' : `; ${fields.join(', ')}`}`));
    this.status = status;
    this.answer = answer;
  }
}

/** The user pressed Ctrl-C. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
  }
}
