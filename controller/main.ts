import pino from 'pino';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import { readControllerConfig } from './config.ts';
import { makeContext } from './context.ts';
import { startLoops } from './loops.ts';
import { makeServer } from './http/server.ts';

/** How long running pushes and clones get to end before a stopping controller breaks them off. */
const STOP_DEADLINE_MS = 15_000;

try {
  const config = readControllerConfig(process.env);
  const log = pino({ level: config.logLevel, base: { controller: config.controller } });
  const context = await makeContext(config, log);
  const app = makeServer(context);

  const loops = startLoops(context);
  const stop = async () => {
    if (context.stopping) return;
    context.stopping = true;
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    loops.stop();
    await app.close();
    await Promise.all([context.reconcile.stop(), context.verification.stop()]);
    await context.duties.release().catch(() => {});
    context.turnLock.close();
    context.lifelines.close();
    await context.agent.destroy();
    await context.database.close();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());

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

function describe(error: ConfigurationError | TrivetError): string {
  return error instanceof TrivetError ? `${error.message} (${error.code}) ${JSON.stringify(error.fields)}` : error.message;
}
