import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { RepairAnswer, RepairRequest, RepairWay, ReplicaPosition, VerifyAnswer } from '@trivet/proto/messages.ts';
import { EMPTY_REFS_DIGEST } from '@trivet/proto/refs-digest.ts';
import type { JobProgress } from '../store/jobs.ts';
import type { JobReason, RepairJob, ReplicaState, Route } from '../store/rows.ts';
import { hasFailedBy } from './last-error.ts';

/** What a repair needs of the world; the simulation gives it another one. */
export interface RepairPorts {
  route(repository: string): Promise<Route | undefined>;
  begin(job: RepairJob): Promise<'begun' | 'current' | 'lost'>;
  /** Says how far the job is; false when somebody else has it by now. */
  report(job: RepairJob, progress: JobProgress): Promise<boolean>;
  admit(job: RepairJob, position: ReplicaPosition & { checked: boolean }): Promise<boolean>;
  /** Where a node that can be used is reached; undefined when it can't be used at the moment. */
  url(node: string): string | undefined;
  verify(repository: string, node: string, full: boolean, signal: AbortSignal): Promise<VerifyAnswer>;
  round(repository: string, node: string, message: RepairRequest, signal: AbortSignal): Promise<RepairAnswer>;
  /** Lets a node throw away what this job's repair has set aside; not waited for. */
  discard(job: RepairJob): void;
  /** Runs an action alone in the repository's turn. */
  inTurn<T>(repository: string, action: () => Promise<T>): Promise<T>;
  failpoint(name: string): Promise<void>;
  clock: Clock;
}

export interface RepairOptions {
  /** What a round may take from its source in a second; undefined: as much as there is. */
  bytesPerSecond: number | undefined;
  /** How long the last round may hold the repository's turn, and every push that waits for it. */
  turnMs: number;
}

/** What became of a job that was worked on to its end. */
export interface RepairResult {
  /** `none`: the replica had become current before. */
  way: 'none' | 'verify' | RepairWay;
  rounds: number;
  objects: number;
  bytes: number;
}

/** A round that brought no more than this leaves the rest to the one inside the turn. */
const LITTLE_OBJECTS = 200;
const LITTLE_BYTES = 1024 * 1024;
/** Under a stream of pushes each round brings less than the one before; what doesn't shrink in so many never will. */
const MAX_OBJECT_ROUNDS = 10;
/** Reasons that cast doubt on objects, so that equal refs are not enough to be admitted. */
const OBJECTS_IN_DOUBT: ReadonlySet<JobReason> = new Set(['diverged', 'corrupt', 'missing']);

/**
 * Also one that only missed something may have been damaged since: nobody verifies a replica that isn't current. Then git
 * fails on what it finds there, however often it is tried.
 */
function castsDoubtOnObjects(job: RepairJob): boolean {
  return OBJECTS_IN_DOUBT.has(job.reason) || hasFailedBy('git_failed', job);
}

/**
 * Brings one replica back, in the cheapest way that is sound:
 *
 *   verify  --what it has is what SQL has--> admit
 *           --unreadable or not there-----> rebuild
 *           --objects missing or damaged--> heal, full verify --still so--> rebuild
 *           --else------------------------> fetch
 *
 * Objects come in rounds while pushes go on, then the rest and the refs in one last round inside the repository's turn,
 * when nothing can move. It is admitted only by SQL, only under the fence of its job, and only if what it has then is
 * what SQL has. A replica that is ahead of SQL is not touched: that is for an operator to decide.
 *
 * Every step may be cut off and begun anew by another controller. A late one does no harm: SQL refuses its fence, and
 * a node refuses to go back behind the generation it holds.
 */
export class Repair {
  readonly #ports: RepairPorts;
  readonly #options: RepairOptions;

  constructor(ports: RepairPorts, options: RepairOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * @throws TrivetError repair_failed, node_unreachable, no_current_replica, replica_ahead, aborted (the claim is
   *   somebody else's), and what the nodes said
   */
  async run(job: RepairJob, signal: AbortSignal): Promise<RepairResult> {
    const begun = await this.#ports.begin(job);
    if (begun === 'lost') throw claimLost(job);
    if (begun === 'current') return { way: 'none', rounds: 0, objects: 0, bytes: 0 };
    await this.#ports.failpoint('repair-begun');
    return new Run(this.#ports, this.#options, job, signal).run();
  }
}

/** One attempt at one job. */
class Run {
  readonly #ports: RepairPorts;
  readonly #options: RepairOptions;
  readonly #job: RepairJob;
  readonly #signal: AbortSignal;
  #rounds = 0;
  #objects = 0;
  #bytes = 0;

  constructor(ports: RepairPorts, options: RepairOptions, job: RepairJob, signal: AbortSignal) {
    this.#ports = ports;
    this.#options = options;
    this.#job = job;
    this.#signal = signal;
  }

  async run(): Promise<RepairResult> {
    let look = await this.#look(castsDoubtOnObjects(this.#job));
    const heals = look.found === 'damaged';
    if (heals) {
      await this.#heal(look.position);
      look = await this.#look(true);
    }
    if (look.equal) {
      await this.#report({ way: heals ? 'heal' : 'verify' });
      // Whatever has moved meanwhile: the admission compares once more.
      if (await this.#ports.admit(this.#job, { ...look.position, checked: look.full })) {
        // An attempt that was cut off may have set something aside.
        this.#ports.discard(this.#job);
        return this.#finished(heals ? 'heal' : 'verify');
      }
    }
    const way = look.found === 'readable' ? 'fetch' : 'rebuild';
    await this.#objectRounds(way);
    await this.#lastRound(way);
    await this.#ports.failpoint('repair-admitted');
    this.#ports.discard(this.#job);
    return this.#finished(way);
  }

  /** What the target has on its disk, beside what it should have. */
  async #look(full: boolean): Promise<Look> {
    const { repository, node } = this.#job;
    this.#expectUsable(node);
    let answer: VerifyAnswer;
    try {
      answer = await this.#ports.verify(repository, node, full, this.#signal);
    } catch (error) {
      const { code } = asTrivetError(error);
      if (code === 'replica_missing' || code === 'refs_unreadable') return { found: 'unreadable', equal: false, full, position: NOWHERE };
      throw error;
    }
    const { repository: intended } = await this.#route();
    const position = { generation: answer.generation, digest: answer.digest };
    if (position.generation > intended.generation) {
      throw new TrivetError('replica_ahead', { node, holds: position.generation, recorded: intended.generation });
    }
    if (answer.problems.some((problem) => problem.kind === 'corrupt')) return { found: 'damaged', equal: false, full, position };
    const sound = answer.problems.length === 0 && answer.diskDigest === answer.digest;
    const equal = sound && position.generation === intended.generation && position.digest === intended.digest;
    return { found: 'readable', equal, full, position };
  }

  /** Brings what is damaged. What healing can't do, a new replica can, as long as there is a current one to build it from. */
  async #heal(position: ReplicaPosition): Promise<void> {
    const route = await this.#route();
    const hasSource = this.#sources(route, (state) => state === 'current').length > 0;
    try {
      await this.#round('objects', 'heal', isNewest(position, route));
    } catch (error) {
      this.#signal.throwIfAborted();
      const { code } = asTrivetError(error);
      if (!hasSource || code === 'aborted' || code === 'node_unreachable' || code === 'replica_busy') throw error;
    }
  }

  /** Until one brings little. */
  async #objectRounds(way: RepairWay): Promise<void> {
    for (let i = 0; i < MAX_OBJECT_ROUNDS; i++) {
      const { answer } = await this.#round('objects', way);
      if (answer.objects <= LITTLE_OBJECTS && answer.bytes <= LITTLE_BYTES) return;
    }
  }

  /** Everybody who pushes waits for it, so it has a deadline of its own: what doesn't fit begins anew with objects. */
  async #lastRound(way: RepairWay): Promise<void> {
    await this.#ports.inTurn(this.#job.repository, async () => {
      const deadline = new AbortController();
      const { turnMs } = this.#options;
      const late = () => deadline.abort(new TrivetError('phase_timeout', { node: this.#job.node, phase: 'repair', deadlineMs: turnMs }));
      const cancel = this.#ports.clock.after(turnMs, late);
      try {
        await this.#takeTurn(way, AbortSignal.any([this.#signal, deadline.signal]));
      } finally {
        cancel();
      }
    });
  }

  async #takeTurn(way: RepairWay, signal: AbortSignal): Promise<void> {
    await this.#ports.failpoint('repair-turn');
    const { answer, route } = await this.#round('refs', way, false, signal);
    const { generation, digest } = route.repository;
    const position = { generation: answer.generation, digest: answer.digest };
    const equal = position.generation === generation && position.digest === digest;
    await this.#ports.failpoint('repair-admit');
    if (!equal || !await this.#ports.admit(this.#job, { ...position, checked: false })) {
      throw new TrivetError('repair_failed', { node: this.#job.node, expected: { generation, digest }, got: position });
    }
  }

  /**
   * @param fromAny when no replica is current, any other will do: the target's refs are the newest there are, only packs
   *   are taken, and a full check is to prove them
   */
  async #round(round: 'objects' | 'refs', way: RepairWay, fromAny = false, signal = this.#signal): Promise<{ answer: RepairAnswer; route: Route }> {
    const { repository, node, id } = this.#job;
    signal.throwIfAborted();
    const route = await this.#route();
    this.#expectUsable(node);
    const current = this.#sources(route, (state) => state === 'current');
    const sources = current.length === 0 && fromAny ? this.#sources(route, (state) => state !== 'missing') : current;
    // Another one with each attempt: a source that can't give what is asked must not be asked for ever.
    const source = sources[this.#job.attempt % sources.length];
    if (source === undefined) throw new TrivetError('no_current_replica', { repository: route.repository.name });
    this.#rounds += 1;
    await this.#report({ source: source.node, way, round: this.#rounds });
    const { generation, digest, objectFormat } = route.repository;
    const { bytesPerSecond } = this.#options;
    const answer = await this.#ports.round(repository, node, {
      job: id, source: source.url, objectFormat, round, way,
      ...(round === 'refs' ? { expect: { generation, digest } } : {}),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    }, signal);
    this.#objects += answer.objects;
    this.#bytes += answer.bytes;
    await this.#report({ objects: this.#objects, bytes: this.#bytes });
    return { answer, route };
  }

  async #route(): Promise<Route> {
    const route = await this.#ports.route(this.#job.repository);
    if (route === undefined) throw new TrivetError('repository_not_found', { id: this.#job.repository });
    return route;
  }

  #sources(route: Route, suits: (state: ReplicaState) => boolean): { node: string; url: string }[] {
    return route.replicas.filter((replica) => replica.node !== this.#job.node && suits(replica.state)).flatMap(({ node }) => {
      const url = this.#ports.url(node);
      return url === undefined ? [] : [{ node, url }];
    });
  }

  #expectUsable(node: string): void {
    if (this.#ports.url(node) === undefined) throw new TrivetError('node_unreachable', { node });
  }

  async #report(progress: JobProgress): Promise<void> {
    if (!await this.#ports.report(this.#job, progress)) throw claimLost(this.#job);
  }

  #finished(way: RepairResult['way']): RepairResult {
    return { way, rounds: this.#rounds, objects: this.#objects, bytes: this.#bytes };
  }
}

/** What a look at a replica's disk came to. */
interface Look {
  found: 'readable' | 'damaged' | 'unreadable';
  /** Whether it has exactly what SQL has, as far as was looked. */
  equal: boolean;
  /** Whether every object was looked at. */
  full: boolean;
  position: ReplicaPosition;
}

const NOWHERE: ReplicaPosition = { generation: 0, digest: EMPTY_REFS_DIGEST };

function isNewest(position: ReplicaPosition, { repository }: Route): boolean {
  return position.generation === repository.generation && position.digest === repository.digest;
}

function claimLost(job: RepairJob): TrivetError {
  return new TrivetError('aborted', { job: job.id, reason: 'another controller has this job' });
}
