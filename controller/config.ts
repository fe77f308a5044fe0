import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { Settings, type Environment } from '@trivet/proto/settings.ts';
import type { PlacementOptions } from './placement/placement.ts';
import { parseMysqlUrl, tlsModeOf } from './store/mysql-url.ts';

/** Everything a controller can be told from outside. Times are milliseconds, sizes bytes. */
export interface ControllerConfig {
  controller: string;
  host: string;
  port: number;
  /** `file:/path` for SQLite, `mysql://…` for MySQL. */
  store: string;
  /** What TLS to MySQL needs, as PEM. */
  storeTls: { ca?: string; cert?: string; key?: string };
  token: string;
  logLevel: string;
  replicationFactor: number;
  deadlines: Deadlines;
  limits: Limits;
  /** How long a deleted repository can be restored. */
  trashRetentionMs: number;
  /** Imports that this controller carries at once. */
  importConcurrency: number;
  /** How old a repository directory must be before it counts as one that SQL doesn't know. */
  unknownAfterMs: number;
  /** How often every node is asked for its heartbeat. */
  heartbeatMs: number;
  /** A node that leaves its heartbeat unanswered for so long is not used until it answers one. */
  heartbeatDeadlineMs: number;
  /** A node's clock that is farther from ours is told of. */
  clockSkewMs: number;
  /** How often replicas are looked at that need repair. */
  reconcileMs: number;
  repair: RepairSettings;
  verification: VerificationSettings;
  placement: PlacementOptions;
  /** How long decisions to commit are kept that no node can ask for any more. */
  transactionRetentionMs: number;
  /** For how long a controller that was told to stop serves as ever, so that load balancers can take it out. */
  stopDelayMs: number;
  /** How long what runs by then gets to end before it is broken off. */
  stopMs: number;
  failpoints: string | undefined;
  /** The token was changed on purpose. */
  replaceToken: boolean;
  /** The settings that should be the same on all controllers, by their keys. */
  shared: Readonly<Record<string, number>>;
}

/** One deadline for each phase, and for the pauses in which stragglers are waited for once a quorum has spoken. */
export interface Deadlines {
  /** A node that takes no bytes of a pack for so long while others do is dropped from the push. */
  voteStallMs: number;
  /** How long the rest is waited for once a quorum has voted; for long votes, half the time the vote took. */
  voteGraceMs: number;
  /** A node that others wait for and that leaves a heartbeat unanswered for so long is waited for no longer. */
  silentMs: number;
  voteMs: number;
  turnMs: number;
  /** How long the last round of a repair waits for the pushes that have begun without the replica. */
  drainMs: number;
  prepareGraceMs: number;
  prepareMs: number;
  decideMs: number;
  commitGraceMs: number;
  commitMs: number;
  /** A client that hasn't sent all headers of a request by then is hung up on. */
  headersMs: number;
  /** A git client that sends nothing for so long is hung up on. A JSON body has to be whole by then. */
  bodyIdleMs: number;
  /** A node must begin to answer a read within this time, else the next one is asked. */
  readMs: number;
}

export interface RepairSettings {
  /** Repairs that this controller runs at once, in all and on each node. */
  concurrency: number;
  perNode: number;
  /** Of one repair; undefined: as much as there is. */
  bytesPerSecond: number | undefined;
  /** How long the last round of a repair may hold the repository's turn. */
  turnMs: number;
  /** For how long a job is this controller's without a sign of life. */
  leaseMs: number;
  /** How long finished jobs and resolved findings are kept. */
  retentionMs: number;
}

export interface VerificationSettings {
  /** How often the refs of every replica are compared with SQL, and how often all its objects are checked. */
  verifyIntervalMs: number;
  checkIntervalMs: number;
  /** How long a node is left in peace after each. */
  pauseMs: number;
}

export interface Limits {
  maxCommands: number;
  maxPushOptionBytes: number;
  /** The largest push body, after gunzip. */
  maxPushBytes: number;
  /** The largest body of a fetch request, after gunzip: it is held in memory so that another replica can be asked. */
  maxFetchRequestBytes: number;
  /** Pushes in the vote phase at once; as many again may wait. */
  maxConcurrentPushes: number;
  /** Transactions prepared together. */
  maxBatch: number;
}

/** Whole numbers that are a matter of where a controller runs. */
const OWN: ReadonlySet<string> = new Set(['TRIVET_PORT', 'TRIVET_STOP_DELAY_MS', 'TRIVET_STOP_MS']);

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const TIB = MIB * MIB;

/** @throws ConfigurationError naming every fault at once */
export function readControllerConfig(environment: Environment): ControllerConfig {
  const settings = new Settings(environment, 'TRIVET_');
  const store = settings.secret('TRIVET_STORE');
  if (store !== '' && !/^(file:.|mysql:\/\/.)/.test(store)) settings.fault('TRIVET_STORE', 'must begin with file: or mysql://');
  const storeTls = readTls(settings);
  if (store.startsWith('mysql://')) complain(settings, 'TRIVET_STORE', () => tlsModeOf(parseMysqlUrl(store), storeTls.ca !== undefined));
  const token = settings.secret('TRIVET_TOKEN');
  if (token !== '' && token.length < 16) settings.fault('TRIVET_TOKEN', 'must have at least 16 characters');
  const failpoints = settings.optionalText('TRIVET_FAILPOINTS');
  if (failpoints !== undefined && environment['NODE_ENV'] !== 'test') settings.fault('TRIVET_FAILPOINTS', 'is for tests only (NODE_ENV=test)');
  const repairBytes = settings.integer('TRIVET_REPAIR_BYTES_PER_SECOND', 0, { min: 0, max: TIB, unit: 'bytes' });
  if (repairBytes > 0 && repairBytes < 1024) settings.fault('TRIVET_REPAIR_BYTES_PER_SECOND', 'must be 0 or at least 1024');
  const ms = (key: string, fallback: number) => settings.integer(key, fallback, { min: 1, max: DAY_MS, unit: 'milliseconds' });
  const longMs = (key: string, fallback: number) => settings.integer(key, fallback, { min: 1, max: 366 * DAY_MS, unit: 'milliseconds' });
  const bytes = (key: string, fallback: number) => settings.integer(key, fallback, { min: 1024, max: TIB, unit: 'bytes' });
  const count = (key: string, fallback: number, unit: string) => settings.integer(key, fallback, { min: 1, max: 1_000_000, unit });
  const config: ControllerConfig = {
    controller: settings.text('TRIVET_CONTROLLER_NAME', `${hostname()}-${process.pid}`),
    host: settings.text('TRIVET_HOST', '127.0.0.1'),
    port: settings.integer('TRIVET_PORT', 8081, { min: 1, max: 65535, unit: 'port' }),
    store,
    storeTls,
    token,
    logLevel: settings.choice('TRIVET_LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
    replicationFactor: settings.integer('TRIVET_REPLICATION_FACTOR', 3, { min: 1, max: 9, unit: 'replicas' }),
    deadlines: {
      voteStallMs: ms('TRIVET_VOTE_STALL_MS', 5_000),
      voteGraceMs: ms('TRIVET_VOTE_GRACE_MS', 1_000),
      silentMs: ms('TRIVET_SILENT_MS', 250),
      voteMs: ms('TRIVET_VOTE_MS', 3_600_000),
      turnMs: ms('TRIVET_TURN_MS', 30_000),
      drainMs: ms('TRIVET_DRAIN_MS', 500),
      prepareGraceMs: ms('TRIVET_PREPARE_GRACE_MS', 500),
      prepareMs: ms('TRIVET_PREPARE_MS', 10_000),
      decideMs: ms('TRIVET_DECIDE_MS', 10_000),
      commitGraceMs: ms('TRIVET_COMMIT_GRACE_MS', 500),
      commitMs: ms('TRIVET_COMMIT_MS', 10_000),
      headersMs: ms('TRIVET_HEADERS_MS', 20_000),
      bodyIdleMs: ms('TRIVET_BODY_IDLE_MS', 30_000),
      readMs: ms('TRIVET_READ_MS', 10_000),
    },
    limits: {
      maxCommands: count('TRIVET_MAX_COMMANDS', 50_000, 'commands'),
      maxPushOptionBytes: bytes('TRIVET_MAX_PUSH_OPTION_BYTES', 64 * 1024),
      maxPushBytes: bytes('TRIVET_MAX_PUSH_BYTES', 10 * 1024 * MIB),
      maxFetchRequestBytes: bytes('TRIVET_MAX_FETCH_REQUEST_BYTES', 16 * MIB),
      maxConcurrentPushes: count('TRIVET_MAX_CONCURRENT_PUSHES', 64, 'pushes'),
      maxBatch: count('TRIVET_MAX_BATCH', 64, 'transactions'),
    },
    trashRetentionMs: longMs('TRIVET_TRASH_RETENTION_MS', 7 * DAY_MS),
    importConcurrency: count('TRIVET_IMPORT_CONCURRENCY', 2, 'imports'),
    unknownAfterMs: ms('TRIVET_UNKNOWN_AFTER_MS', 600_000),
    heartbeatMs: ms('TRIVET_HEARTBEAT_MS', 1_000),
    heartbeatDeadlineMs: ms('TRIVET_HEARTBEAT_DEADLINE_MS', 1_000),
    clockSkewMs: ms('TRIVET_CLOCK_SKEW_MS', 5_000),
    reconcileMs: ms('TRIVET_RECONCILE_MS', 1_000),
    repair: {
      concurrency: count('TRIVET_REPAIR_CONCURRENCY', 4, 'repairs'),
      perNode: count('TRIVET_REPAIRS_PER_NODE', 2, 'repairs'),
      bytesPerSecond: repairBytes === 0 ? undefined : repairBytes,
      turnMs: ms('TRIVET_REPAIR_TURN_MS', 10_000),
      leaseMs: settings.integer('TRIVET_REPAIR_LEASE_MS', 30_000, { min: 100, max: 300_000, unit: 'milliseconds' }),
      retentionMs: longMs('TRIVET_REPAIR_RETENTION_MS', 7 * DAY_MS),
    },
    verification: {
      verifyIntervalMs: longMs('TRIVET_VERIFY_INTERVAL_MS', 3_600_000),
      checkIntervalMs: longMs('TRIVET_CHECK_INTERVAL_MS', 7 * DAY_MS),
      pauseMs: ms('TRIVET_VERIFY_PAUSE_MS', 200),
    },
    placement: {
      intervalMs: ms('TRIVET_PLACEMENT_MS', 60_000),
      awayMs: longMs('TRIVET_NODE_AWAY_MS', 900_000),
      moves: count('TRIVET_MOVES', 16, 'replicas'),
      movesPerNode: count('TRIVET_MOVES_PER_NODE', 4, 'replicas'),
      imbalance: settings.integer('TRIVET_REBALANCE_PERCENT', 20, { min: 0, max: 100, unit: 'percent' }) / 100,
      rebalancePauseMs: ms('TRIVET_REBALANCE_PAUSE_MS', 60_000),
    },
    transactionRetentionMs: settings.integer('TRIVET_TRANSACTION_RETENTION_MS', 90 * DAY_MS, { min: 7 * DAY_MS, max: 3660 * DAY_MS, unit: 'milliseconds' }),
    stopDelayMs: settings.integer('TRIVET_STOP_DELAY_MS', 5_000, { min: 0, max: 600_000, unit: 'milliseconds' }),
    stopMs: ms('TRIVET_STOP_MS', 20_000),
    failpoints,
    replaceToken: settings.choice('TRIVET_REPLACE_TOKEN', ['true', 'false'], 'false') === 'true',
    shared: {},
  };
  settings.finish();
  const shared = Object.entries(settings.numbers).filter(([key]) => !OWN.has(key));
  return { ...config, shared: Object.fromEntries(shared) };
}

function readTls(settings: Settings): ControllerConfig['storeTls'] {
  const read = (key: string) => {
    const path = settings.optionalText(key);
    return path === undefined ? undefined : complain(settings, key, () => readFileSync(path, 'utf8'));
  };
  const [ca, cert, key] = [read('TRIVET_STORE_TLS_CA'), read('TRIVET_STORE_TLS_CERT'), read('TRIVET_STORE_TLS_KEY')];
  if ((cert === undefined) !== (key === undefined)) settings.fault('TRIVET_STORE_TLS_CERT', 'and TRIVET_STORE_TLS_KEY go together');
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
}

/** What `read` gives; what it throws is a fault of the setting. */
function complain<T>(settings: Settings, key: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    settings.fault(key, (error as Error).message);
    return undefined;
  }
}
