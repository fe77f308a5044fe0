import pino from 'pino';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import { RequestsInFlight } from '@trivet/proto/requests-in-flight.ts';
import { onStopSignals } from '@trivet/proto/stop-signals.ts';
import { readControllerConfig } from './config.ts';
import { makeContext } from './context.ts';
import { startLoops } from './loops.ts';
import { makeServer } from './http/server.ts';
import { stopController } from './stop.ts';

try {
  const config = readControllerConfig(process.env);
  const log = pino({ level: config.logLevel, base: { controller: config.controller } });
  const context = await makeContext(config, log);
  await context.presence.begin();
  const app = makeServer(context);
  const loops = startLoops(context);
  const requests = new RequestsInFlight(app.server);
  onStopSignals({
    log,
    deadlineMs: config.stopDelayMs + config.stopMs,
    running: () => ({ requests: requests.size, named: requests.named, pushes: context.coordinator.running, repairs: context.reconcile.running }),
    stop: () => stopController(context, requests, loops),
  });

  await context.nodes.refresh();
  await context.nodes.poll();
  context.lifelines.keep(context.nodes.all);
  await app.listen({ host: config.host, port: config.port });
  log.info({ port: config.port, store: config.store.replace(/\/\/.*@/, '//') }, 'the controller is ready');
} catch (error) {
  const expected = error instanceof ConfigurationError || error instanceof TrivetError;
  process.stderr.write(`${expected ? describe(error) : (error as Error).stack}\n`);
  process.exit(1);
}

/** Whoever starts a controller has to see what the database said; those who push don't. */
function describe(error: ConfigurationError | TrivetError): string {
  if (error instanceof ConfigurationError) return error.message;
  const causes = [];
  for (let { cause } = error; cause instanceof Error; { cause } = cause) causes.push(cause.message);
  return [`${error.message} (${error.code}) ${JSON.stringify(error.fields)}`, ...causes].join(': ');
}
