import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Settings, type Environment } from '@trivet/proto/settings.ts';

/** Everything a node can be told from outside. Times are milliseconds, sizes bytes. */
export interface ReplicaConfig {
  node: string;
  host: string;
  port: number;
  /** Where controllers reach this node. */
  url: string;
  controllers: string[];
  token: string;
  directory: string;
  logLevel: string;
  ingest: 'fast' | 'git';
  smallPackBytes: number;
  maxPackBytes: number;
  maxGitProcesses: number;
  maxWaitingGitProcesses: number;
  /** Disk for answers to clones that come again; 0 switches the cache off. */
  responseCacheBytes: number;
  maxConcurrentVotes: number;
  maxOpenReplicas: number;
  /** How long a read or a vote waits for a commit in flight. */
  catchUpMs: number;
  /** A promise older than this is in doubt: its decision is asked for. */
  promiseDeadlineMs: number;
  /** A vote nobody prepares within this time is forgotten. */
  voteExpiryMs: number;
  /** The journal starts a new file beyond this size. */
  journalBytes: number;
  /** Below this much free disk nothing new is voted on. */
  diskReserveBytes: number;
  /** For how long a node that was told to stop serves as ever, for controllers that haven't heard of it yet. */
  stopDelayMs: number;
  /** How long what runs by then gets to end before it is broken off. */
  stopMs: number;
  /** Repacks and the like. */
  maintenance: {
    enabled: boolean;
    /** How often stores are looked at. */
    scanMs: number;
    /** A store of so many packs has them combined. */
    packs: number;
    /** Of so many, even where the other replicas can't stand in meanwhile. */
    urgentPacks: number;
    deadlineMs: number;
    /** How long readers are waited for before the packs go that they may still use. */
    graceMs: number;
  };
  /** Repositories in directories below this one may be imported; undefined: none. */
  importDirectory: string | undefined;
  /** Whether an import may come from a loopback or a private address. */
  importPrivate: boolean;
  /** The largest repository that is imported, and for how long it may take. */
  importBytes: number;
  importMs: number;
  /** Imports at once. */
  maxImports: number;
  failpoints: string | undefined;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 * 1024 * MIB;

/** @throws ConfigurationError naming every fault at once */
export function readReplicaConfig(environment: Environment): ReplicaConfig {
  const settings = new Settings(environment, 'TRIVET_');
  const port = settings.integer('TRIVET_PORT', 8082, { min: 1, max: 65535, unit: 'port' });
  const host = settings.text('TRIVET_HOST', '127.0.0.1');
  const node = settings.text('TRIVET_NODE', hostname());
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(node)) settings.fault('TRIVET_NODE', 'must be 1 to 63 letters, digits, ".", "_" or "-"');
  const token = settings.secret('TRIVET_TOKEN');
  if (token !== '' && token.length < 16) settings.fault('TRIVET_TOKEN', 'must have at least 16 characters');
  const failpoints = settings.optionalText('TRIVET_FAILPOINTS');
  if (failpoints !== undefined && environment['NODE_ENV'] !== 'test') settings.fault('TRIVET_FAILPOINTS', 'is for tests only (NODE_ENV=test)');
  const importDirectory = settings.optionalText('TRIVET_IMPORT_DIRECTORY');
  const url = settings.text('TRIVET_URL', `http://${host}:${port}`).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/?#]+$/.test(url) || !URL.canParse(url)) settings.fault('TRIVET_URL', 'must be an http URL without a path');
  const milliseconds = { min: 1, max: 86_400_000, unit: 'milliseconds' };
  const config: ReplicaConfig = {
    node,
    host,
    port,
    url,
    controllers: settings.urls('TRIVET_CONTROLLERS'),
    token,
    directory: resolve(settings.text('TRIVET_DIRECTORY')),
    logLevel: settings.choice('TRIVET_LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
    ingest: settings.choice('TRIVET_INGEST', ['fast', 'git'], 'fast'),
    smallPackBytes: settings.integer('TRIVET_SMALL_PACK_BYTES', MIB, { min: 0, max: 64 * MIB, unit: 'bytes' }),
    maxPackBytes: settings.integer('TRIVET_MAX_PACK_BYTES', 10 * 1024 * MIB, { min: KIB, max: TIB, unit: 'bytes' }),
    maxGitProcesses: settings.integer('TRIVET_MAX_GIT_PROCESSES', 32, { min: 1, max: 10_000, unit: 'processes' }),
    maxWaitingGitProcesses: settings.integer('TRIVET_MAX_WAITING_GIT_PROCESSES', 256, { min: 0, max: 100_000, unit: 'requests' }),
    responseCacheBytes: settings.integer('TRIVET_RESPONSE_CACHE_BYTES', 1024 * MIB, { min: 0, max: TIB, unit: 'bytes' }),
    maxConcurrentVotes: settings.integer('TRIVET_MAX_CONCURRENT_VOTES', 64, { min: 1, max: 10_000, unit: 'votes' }),
    maxOpenReplicas: settings.integer('TRIVET_MAX_OPEN_REPLICAS', 10_000, { min: 1, max: 10_000_000, unit: 'replicas' }),
    catchUpMs: settings.integer('TRIVET_CATCH_UP_MS', 2_000, milliseconds),
    promiseDeadlineMs: settings.integer('TRIVET_PROMISE_DEADLINE_MS', 5_000, milliseconds),
    voteExpiryMs: settings.integer('TRIVET_VOTE_EXPIRY_MS', 600_000, milliseconds),
    journalBytes: settings.integer('TRIVET_JOURNAL_BYTES', 16 * MIB, { min: KIB, max: TIB, unit: 'bytes' }),
    diskReserveBytes: settings.integer('TRIVET_DISK_RESERVE_BYTES', 64 * MIB, { min: 0, max: TIB, unit: 'bytes' }),
    stopDelayMs: settings.integer('TRIVET_STOP_DELAY_MS', 1_000, { min: 0, max: 600_000, unit: 'milliseconds' }),
    stopMs: settings.integer('TRIVET_STOP_MS', 20_000, milliseconds),
    maintenance: {
      enabled: settings.choice('TRIVET_MAINTENANCE', ['on', 'off'], 'on') === 'on',
      scanMs: settings.integer('TRIVET_MAINTENANCE_SCAN_MS', 5_000, milliseconds),
      packs: settings.integer('TRIVET_MAINTENANCE_PACKS', 50, { min: 2, max: 1_000_000, unit: 'packs' }),
      urgentPacks: settings.integer('TRIVET_MAINTENANCE_URGENT_PACKS', 1_000, { min: 2, max: 1_000_000, unit: 'packs' }),
      deadlineMs: settings.integer('TRIVET_MAINTENANCE_DEADLINE_MS', 21_600_000, milliseconds),
      graceMs: settings.integer('TRIVET_MAINTENANCE_GRACE_MS', 120_000, milliseconds),
    },
    importDirectory: importDirectory === undefined ? undefined : resolve(importDirectory),
    importPrivate: settings.choice('TRIVET_IMPORT_PRIVATE', ['true', 'false'], 'false') === 'true',
    importBytes: settings.integer('TRIVET_IMPORT_BYTES', 10 * 1024 * MIB, { min: KIB, max: TIB, unit: 'bytes' }),
    importMs: settings.integer('TRIVET_IMPORT_MS', 7_200_000, milliseconds),
    maxImports: settings.integer('TRIVET_MAX_IMPORTS', 2, { min: 1, max: 100, unit: 'imports' }),
    failpoints,
  };
  settings.finish();
  return config;
}
