import type { Clock } from '@trivet/proto/clock.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { MaintenanceAnswer, MaintenanceRequest } from '@trivet/proto/messages.ts';

/** Asks a controller; an answer that never comes is thrown. */
export type AskPermission = (message: MaintenanceRequest) => Promise<MaintenanceAnswer>;

/**
 * Does something while a controller's permission lasts: renews it in time, and tells the work to stop when it is refused or
 * nobody has renewed it for as long as it was given for. The permission ends with the work.
 * @returns why there is no permission, or what the work came to
 * @throws what the work throws; what `ask` throws for the first question
 */
export async function withPermission<T>(
  question: Omit<MaintenanceRequest, 'kind'>, ask: AskPermission, clock: Clock, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>,
): Promise<{ refused: string } | { value: T }> {
  const answer = await unless(signal, ask({ ...question, kind: 'begin' }));
  if (!answer.granted) return { refused: answer.reason };
  const lost = new AbortController();
  const over = new AbortController();
  const lose = (reason: string) => lost.abort(new TrivetError('aborted', { repository: question.repository, reason }));
  void renew(question, ask, clock, answer.leaseMs, over.signal, lose);
  try {
    return { value: await work(AbortSignal.any([signal, lost.signal])) };
  } finally {
    over.abort();
    // It ends by itself if this isn't heard; whoever stops doesn't wait for it.
    await unless(signal, ask({ ...question, kind: 'end' })).catch(() => {});
  }
}

async function renew(
  question: Omit<MaintenanceRequest, 'kind'>, ask: AskPermission, clock: Clock, leaseMs: number, over: AbortSignal, lose: (reason: string) => void,
): Promise<void> {
  let grantedAt = clock.elapsed();
  for (;;) {
    try {
      await clock.sleep(leaseMs / 3, over);
    } catch {
      return;
    }
    const askedAt = clock.elapsed();
    const answer = await ask({ ...question, kind: 'renew' }).catch(() => undefined);
    if (over.aborted) return;
    if (answer?.granted === true) grantedAt = askedAt;
    else if (answer !== undefined) return lose(answer.reason);
    else if (clock.elapsed() - grantedAt >= leaseMs) return lose('no controller answers');
  }
}

/** What comes of a question, unless whoever asks is told to stop before. */
async function unless<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  // Whichever loses may fail unheard.
  answer.catch(() => {});
  stopped.catch(() => {});
  try {
    return await Promise.race([answer, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
