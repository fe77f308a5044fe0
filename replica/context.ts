import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { systemClock, type Clock } from '@trivet/proto/clock.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import { makeFailpoint, type Failpoint } from '@trivet/proto/failpoint.ts';
import type { FastifyBaseLogger } from 'fastify';
import type { ReplicaConfig } from './config.ts';
import { makeMetrics, type ReplicaMetrics } from './metrics.ts';
import { ObjectReaders } from './git/object-reader.ts';
import { maintenanceEvents } from './maintenance/events.ts';
import { Maintenance } from './maintenance/maintenance.ts';
import { Controllers } from './participant/controllers.ts';
import { journalFiles } from './participant/journal-files.ts';
import { Journal } from './participant/journal.ts';
import { Participant } from './participant/participant.ts';
import { InDoubt } from './participant/in-doubt.ts';
import { Lifelines } from './participant/lifelines.ts';
import { roomBytes, roomIn } from './participant/room.ts';
import { Imports } from './imports/imports.ts';
import { Ingest } from './quarantine/ingest.ts';
import { Repair } from './repair/repair.ts';
import { replicaDisk, type ReplicaDisk } from './repository/replica-disk.ts';
import { Replicas } from './repository/replicas.ts';
import { ResponseCache } from './serve/response-cache.ts';
import { UploadPackLimiter } from './serve/upload-pack-limiter.ts';
import { Verify } from './verify/verify.ts';

/** Votes one replica keeps at most: far more than a controller lets run on one repository, and still bounded. */
const MAX_VOTES_PER_REPLICA = 1_000;
const MAX_READER_PROCESSES = 64;
const READER_IDLE_MS = 60_000;

/** All parts of a node, wired. */
export interface ReplicaContext {
  config: ReplicaConfig;
  /** New at every start of this process. */
  boot: string;
  /** False until the restart handshake is over: before that nothing is served. */
  ready: boolean;
  /** `leaving`: told to stop, and still serves. `left`: begins nothing any more, and finishes what runs. See stop.ts. */
  stopping: false | 'leaving' | 'left';
  log: FastifyBaseLogger;
  metrics: ReplicaMetrics;
  failpoint: Failpoint;
  clock: Clock;
  replicas: Replicas;
  /** What lies under `replicas`, for the restart. */
  disk: ReplicaDisk;
  journal: Journal;
  /** Whether the disk has more room than what is kept back. */
  hasRoom: () => boolean;
  /** Whether this node can take part in a push. */
  isWritable: () => boolean;
  readers: ObjectReaders;
  participant: Participant;
  inDoubt: InDoubt;
  lifelines: Lifelines;
  controllers: Controllers;
  repair: Repair;
  verify: Verify;
  maintenance: Maintenance;
  imports: Imports;
  /** Brings everything written to the data directory's file system to the disk. */
  flush: () => Promise<void>;
  uploadPacks: UploadPackLimiter;
  responses: ResponseCache;
}

export function makeContext(config: ReplicaConfig, log: FastifyBaseLogger): ReplicaContext {
  const failpoint = makeFailpoint(config.failpoints);
  const readers = new ObjectReaders({ maxProcesses: MAX_READER_PROCESSES, idleMs: READER_IDLE_MS });
  const replicas: Replicas = new Replicas(join(config.directory, 'repositories'), config.maxOpenReplicas, (gitDir) => readers.drop(gitDir),
    (id) => journal.append({ kind: 'restart', repository: id }, true));
  const metrics = makeMetrics(config.node, () => [...replicas.opened].filter((replica) => replica.promise !== undefined).length);
  const flush = () => syncFileSystem(config.directory);
  const journal: Journal = new Journal(journalFiles(join(config.directory, 'journal')), flush, () => replicas.saveRecords());
  const hasRoom = roomIn(config.directory, config.diskReserveBytes);
  const isWritable = () => !journal.failed && hasRoom();
  const ingest = new Ingest(readers, {
    smallPackBytes: config.smallPackBytes, maxPackBytes: config.maxPackBytes, mode: config.ingest,
  });
  const participant = new Participant(ingest, journal, failpoint, systemClock, {
    catchUpMs: config.catchUpMs, maxVotes: MAX_VOTES_PER_REPLICA, isWritable,
  });
  const controllers = new Controllers(config.controllers, config.token);
  const inDoubt = new InDoubt(config.node, replicas, participant, controllers, {
    settled: (repository, batch, outcome) => {
      metrics.settled.inc({ outcome });
      log.warn({ repository, batch, outcome }, 'a promise in doubt was settled');
    },
    unanswered: (repository, batch, code) => log.warn({ repository, batch, code }, 'nobody knows the decision on a promise yet'),
  });
  const lifelines = new Lifelines(replicas, inDoubt, systemClock);
  const uploadPacks = new UploadPackLimiter({ concurrency: config.maxGitProcesses, maxWaiting: config.maxWaitingGitProcesses });
  const responses = new ResponseCache(join(config.directory, 'cache'), {
    maxBytes: config.responseCacheBytes, maxEntryBytes: Math.floor(config.responseCacheBytes / 4),
  });
  const forgetObjects = (gitDir: string) => {
    readers.drop(gitDir);
    // What was answered while objects were damaged may be damaged too.
    responses.forget(gitDir);
  };
  const repair: Repair = new Repair({
    replicas, journal, token: config.token, failpoint, flush, onAdded: (gitDir) => readers.refresh(gitDir), onReplaced: forgetObjects,
    interrupt: (id) => maintenance.stop(id),
  });
  const verify = new Verify({ replicas, isRepaired: (id) => repair.isRunning(id), seenIndexes: (gitDir) => readers.seenIndexes(gitDir), onProblems: forgetObjects });
  const maintenance: Maintenance = new Maintenance({
    node: config.node,
    replicas,
    ask: (message) => controllers.maintenance(message),
    isRepaired: (id) => repair.isRunning(id),
    isChecked: (id) => verify.isChecking(id),
    isBusy: () => [...replicas.opened].some((replica) => replica.promise !== undefined || replica.votes.size > 0),
    roomBytes: () => roomBytes(config.directory) - config.diskReserveBytes,
    onReplaced: (gitDir, gone, come) => readers.replaced(gitDir, gone, come),
    failpoint,
    clock: systemClock,
    events: maintenanceEvents(log, metrics),
    options: config.maintenance,
  });
  const imports = new Imports(join(config.directory, 'imports'), {
    directory: config.importDirectory, allowPrivate: config.importPrivate, maxBytes: config.importBytes, maxMs: config.importMs, maxImports: config.maxImports, hasRoom,
  });
  return {
    config, boot: newId(), ready: false, stopping: false, log, metrics, failpoint, clock: systemClock, replicas, disk: replicaDisk(replicas), journal, hasRoom, isWritable, readers, participant, inDoubt,
    lifelines, controllers, repair, verify, maintenance, imports, flush, uploadPacks, responses,
  };
}

/** syncfs(2) on the file system that holds `path`: Node has no call for it, coreutils has. */
function syncFileSystem(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('sync', ['--file-system', path], { stdio: 'ignore' });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new TrivetError('disk_failure', { operation: 'flush', code }))));
  });
}
