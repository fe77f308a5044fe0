import { mkdir } from 'node:fs/promises';
import pino from 'pino';
import { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { readReplicaConfig } from './config.ts';
import { makeContext } from './context.ts';
import { DirectoryInUse, lockDirectory } from './directory/lock.ts';
import { ownerOf, WrongDirectory, wrongDirectory } from './directory/owner.ts';
import { makeServer } from './http/server.ts';
import { announceWrongDirectory, restart } from './participant/restart.ts';
import { startLoops } from './participant/loops.ts';

/** What the operating system says of a disk that is full, read-only, failing, or not this user's. */
const DISK_FAILURES = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EACCES', 'EPERM'];

/** How long running requests get to end before a stopping node breaks them off. */
const STOP_DEADLINE_MS = 10_000;

try {
  const config = readReplicaConfig(process.env);
  const log = pino({ level: config.logLevel, base: { node: config.node } });
  await mkdir(config.directory, { recursive: true });
  // Both before anything in the directory is read or cleared away: it may be somebody else's.
  const lock = await lockDirectory(config.directory);
  const owner = await ownerOf(config.directory, config.node);
  if (owner !== config.node) {
    await announceWrongDirectory(config, owner, newId());
    throw wrongDirectory(config.directory, config.node, owner);
  }
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
    // These may take hours, and are gone on with or done again.
    await Promise.all([context.repair.close(), context.verify.close()]);
    await app.close();
    await context.readers.closeAll();
    await context.controllers.close();
    await context.journal.close();
    await lock.close();
    clearTimeout(timer);
    process.exit(0);
  };
  const loops = startLoops(context);
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  await app.listen({ host: config.host, port: config.port });
  await restart(context, () => stopping);
} catch (error) {
  if (isDiskFailure(error)) error.message = `the data directory can not be used: ${error.message}`;
  const isForOperators = isDiskFailure(error) || [ConfigurationError, DirectoryInUse, WrongDirectory, TrivetError].some((kind) => error instanceof kind);
  process.stderr.write(`${isForOperators ? (error as Error).message : (error as Error).stack}\n`);
  process.exit(1);
}

function isDiskFailure(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && DISK_FAILURES.includes((error as NodeJS.ErrnoException).code ?? '');
}
