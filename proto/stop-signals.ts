/** What is written to when a process ends; pino's logger is one. */
interface Log {
  info(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

export interface StopInput {
  /** Ends everything in good order. Called once. */
  stop(): Promise<void>;
  /** How long that may take, milliseconds. */
  deadlineMs: number;
  /** What is still going on, for the log. */
  running(): object;
  log: Log;
}

/** As shells have it: 128 and the number of the signal. */
const EXIT_STATUS = { SIGINT: 130, SIGTERM: 143 };

/**
 * SIGTERM: ends in good order, exit status 0; what isn't over by the deadline is broken off and logged, exit status 1.
 * SIGINT, and any signal after the first: ends at once, as a crash would, which loses nothing that was acknowledged.
 */
export function onStopSignals({ stop, deadlineMs, running, log }: StopInput): void {
  let stopping = false;
  const endNow = (signal: 'SIGINT' | 'SIGTERM') => {
    log.error({ signal, ...running() }, 'ended at once, and what ran was broken off');
    process.exit(EXIT_STATUS[signal]);
  };
  process.on('SIGINT', () => endNow('SIGINT'));
  process.on('SIGTERM', () => {
    if (stopping) return endNow('SIGTERM');
    stopping = true;
    const startedAt = performance.now();
    log.info(running(), 'told to stop');
    setTimeout(() => {
      log.error({ deadlineMs, ...running() }, 'what ran was broken off, for the time to stop is over');
      process.exit(1);
    }, deadlineMs);
    stop().then(() => {
      log.info({ tookMs: Math.round(performance.now() - startedAt) }, 'stopped');
      process.exit(0);
    }, (error: unknown) => {
      log.error({ err: error, ...running() }, 'stopping failed');
      process.exit(1);
    });
  });
}
