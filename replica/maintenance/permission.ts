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
  const answer = await ask({ ...question, kind: 'begin' });
  if (!answer.granted) return { refused: answer.reason };
  const lost = new AbortController();
  const over = new AbortController();
  const lose = (reason: string) => lost.abort(new TrivetError('aborted', { repository: question.repository, reason }));
  const renewing = renew(question, ask, clock, answer.leaseMs, over.signal, lose);
  try {
    return { value: await work(AbortSignal.any([signal, lost.signal])) };
  } finally {
    over.abort();
    await renewing;
    // It ends by itself if this isn't heard.
    await ask({ ...question, kind: 'end' }).catch(() => {});
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
