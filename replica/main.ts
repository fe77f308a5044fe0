import { mkdir } from 'node:fs/promises';
import pino from 'pino';
import { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import { RequestsInFlight } from '@trivet/proto/requests-in-flight.ts';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { onStopSignals } from '@trivet/proto/stop-signals.ts';
import { readReplicaConfig } from './config.ts';
import { makeContext } from './context.ts';
import { DirectoryInUse, lockDirectory } from './directory/lock.ts';
import { ownerOf, WrongDirectory, wrongDirectory } from './directory/owner.ts';
import { gitVersion } from './git/version.ts';
import { makeServer } from './http/server.ts';
import { announceWrongDirectory, restart } from './participant/restart.ts';
import { startLoops } from './participant/loops.ts';
import { stopNode, takingPart } from './stop.ts';

/** What the operating system says of a disk that is full, read-only, failing, or not this user's. */
const DISK_FAILURES = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EACCES', 'EPERM'];

try {
  const config = readReplicaConfig(process.env);
  const log = pino({ level: config.logLevel, base: { node: config.node } });
  await mkdir(config.directory, { recursive: true });
  // Both before anything in the directory is read or cleared away: it may be somebody else's.
  const lock = await lockDirectory(config.directory);
  const owner = await ownerOf(config.directory, config.node);
  if (owner.node !== config.node) {
    await announceWrongDirectory(config, owner.node, newId());
    throw wrongDirectory(config.directory, config.node, owner.node);
  }
  const context = makeContext(config, log, owner);
  const app = makeServer(context);
  const loops = startLoops(context);
  const requests = new RequestsInFlight(app.server);
  onStopSignals({
    log,
    deadlineMs: config.stopDelayMs + config.stopMs,
    running: () => ({ requests: requests.size, named: requests.named, ...takingPart(context) }),
    stop: async () => {
      await stopNode(context, requests, loops);
      await lock.close();
    },
  });
  await app.listen({ host: config.host, port: config.port });
  await context.imports.removeLeftovers();
  await restart(context, await gitVersion(), () => context.stopping !== false).catch((error: unknown) => {
    // It was told to stop while it started: whoever does that ends the process.
    if (context.stopping === false) throw error;
  });
} catch (error) {
  if (isDiskFailure(error)) error.message = `the data directory can not be used: ${error.message}`;
  const isForOperators = isDiskFailure(error) || [ConfigurationError, DirectoryInUse, WrongDirectory, TrivetError].some((kind) => error instanceof kind);
  process.stderr.write(`${isForOperators ? describe(error as Error) : (error as Error).stack}\n`);
  process.exit(1);
}

function describe(error: Error): string {
  return error instanceof TrivetError ? `${error.message} (${error.code}) ${JSON.stringify(error.fields)}` : error.message;
}

function isDiskFailure(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && DISK_FAILURES.includes((error as NodeJS.ErrnoException).code ?? '');
}
