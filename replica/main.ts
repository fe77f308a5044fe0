import { mkdir } from 'node:fs/promises';
import pino from 'pino';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { readReplicaConfig } from './config.ts';
import { makeContext } from './context.ts';
import { makeServer } from './http/server.ts';
import { restart } from './participant/restart.ts';
import { startLoops } from './participant/loops.ts';

/** How long running requests get to end before a stopping node breaks them off. */
const STOP_DEADLINE_MS = 10_000;

try {
  const config = readReplicaConfig(process.env);
  const log = pino({ level: config.logLevel, base: { node: config.node } });
  await mkdir(config.directory, { recursive: true });
  const context = makeContext(config, log);
  const app = makeServer(context);
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    context.ready = false;
    const timer = setTimeout(() => process.exit(1), STOP_DEADLINE_MS);
    loops.stop();
    context.lifelines.close();
    await app.close();
    await context.readers.closeAll();
    await context.controllers.close();
    await context.repair.close();
    await context.journal.close();
    clearTimeout(timer);
    process.exit(0);
  };
  const loops = startLoops(context);
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  await app.listen({ host: config.host, port: config.port });
  await restart(context, () => stopping);
} catch (error) {
  process.stderr.write(`${error instanceof ConfigurationError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
