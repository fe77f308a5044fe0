/** A question is asked so rarely that its answers take no more than this part of the time. */
const SHARE = 0.02;

/**
 * Asks again only when that has become cheap enough: an answer that took 100 ms is good for 5 s, one of 1 ms for 50 ms.
 * Whoever asks meanwhile gets the last answer; those who ask at once get one together.
 * @param now milliseconds that only rise
 */
export function sparingly<T>(ask: () => Promise<T>, now: () => number = () => performance.now()): () => Promise<T> {
  let asking: Promise<T> | undefined;
  let last: { answer: T; goodUntil: number } | undefined;
  return async () => {
    if (last !== undefined && now() < last.goodUntil) return last.answer;
    asking ??= (async () => {
      const startedAt = now();
      const answer = await ask();
      const endedAt = now();
      last = { answer, goodUntil: endedAt + (endedAt - startedAt) / SHARE };
      return answer;
    })().finally(() => { asking = undefined; });
    return asking;
  };
}
