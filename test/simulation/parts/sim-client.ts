import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { RefsSnapshot } from '@trivet/proto/messages.ts';
import { zeroOid, type Oid } from '@trivet/proto/object-format.ts';
import type { PushHead } from '@trivet/proto/receive-pack.ts';
import type { Command } from '@trivet/proto/vote.ts';
import type { PushDone } from '../history.ts';
import type { Random } from '../random.ts';
import type { Simulation } from '../simulation.ts';
import { encodePack, type SimObject } from './objects.ts';
import { SimProcess } from './process.ts';

const ZERO = zeroOid('sha1');
/** `a` and `a/b` can't both be. */
const REFS = ['refs/heads/main', 'refs/heads/a', 'refs/heads/a/b', 'refs/tags/t'];

/** Errors of a push after which it may have been applied all the same. */
const UNCERTAIN = new Set(['outcome_unknown', 'phase_timeout', 'node_unreachable']);

/**
 * A git client: reads the refs of a repository through any controller, and then, perhaps, pushes on what it has read.
 * One operation after another, each named, so that a run can leave some of them out.
 */
export class SimClient {
  readonly name: string;
  readonly #simulation: Simulation;
  readonly #process: SimProcess;
  /** What was read before, for pushes that are made on an old state. */
  readonly #stale = new Map<string, RefsSnapshot>();
  /** Operations that are under way or still to come. */
  busy = true;

  constructor(simulation: Simulation, name: string) {
    this.#simulation = simulation;
    this.name = name;
    this.#process = new SimProcess(name, simulation.schedule);
  }

  start(): void {
    void this.#work().then(() => { this.busy = false; });
  }

  async #work(): Promise<void> {
    const { options, faults } = this.#simulation;
    const random = this.#simulation.random(this.name);
    for (let i = 0; i < options.operations; i++) {
      await this.#process.wait(random.between(0, options.activeMs / options.operations));
      const operation = `${this.name}.${i}`;
      const own = this.#simulation.random(operation);
      if (faults.allows(`op#${operation}`)) await this.#operate(operation, own);
    }
  }

  async #operate(operation: string, random: Random): Promise<void> {
    const { options, repositories } = this.#simulation;
    const repository = random.pick(repositories);
    const read = await this.#read(operation, repository, random);
    if (read === undefined || random.chance(0.25)) return;
    const known = random.chance(0.15) ? this.#stale.get(repository) ?? read : read;
    this.#stale.set(repository, read);
    const { commands, objects } = this.#commands(known, random, options.refs);
    if (commands.length > 0) await this.#push(operation, repository, commands, objects, random);
  }

  /** Reads all refs, for themselves or to push on them. */
  async #read(operation: string, repository: string, random: Random): Promise<RefsSnapshot | undefined> {
    const sentAt = this.#simulation.schedule.now;
    try {
      const refs = await this.#call('a read', random, (life) => life.read(repository));
      this.#simulation.observer.read({ operation, client: this.name, repository, sentAt, answeredAt: this.#simulation.schedule.now, ...refs });
      return refs;
    } catch (error) {
      this.#simulation.trace?.(this.name, `can not read ${repository}: ${asTrivetError(error).code}`);
      return undefined;
    }
  }

  async #push(operation: string, repository: string, commands: Command[], objects: readonly SimObject[], random: Random): Promise<void> {
    const atomic = random.chance(0.3);
    const head: PushHead = { commands, capabilities: new Set(atomic ? ['atomic'] : []), shallow: [], pushOptions: [] };
    const push: PushDone = {
      operation, client: this.name, repository, sentAt: this.#simulation.schedule.now, answeredAt: Infinity, commands, atomic, outcome: { kind: 'unknown' },
    };
    this.#simulation.history.pushes.push(push);
    this.#simulation.trace?.(this.name, `pushes${atomic ? ' atomically' : ''} to ${repository}: ${commands.map(commandText).join(', ')}`);
    try {
      const { verdicts, copies } = await this.#call('a push', random, (life, signal) => life.push(repository, head, encodePack(objects), signal));
      push.outcome = { kind: 'answered', verdicts, copies };
      this.#simulation.trace?.(this.name, `is told: ${verdicts.join(', ')}${copies > 0 ? `, on ${copies} replicas` : ''}`);
    } catch (error) {
      const { code } = asTrivetError(error);
      push.outcome = UNCERTAIN.has(code) ? { kind: 'unknown' } : { kind: 'failed', code };
      this.#simulation.trace?.(this.name, `is told: ${code}${push.outcome.kind === 'unknown' ? ', so it may be either way' : ', so nothing was changed'}`);
    }
    if (push.outcome.kind !== 'unknown') push.answeredAt = this.#simulation.schedule.now;
    this.#simulation.observer.pushed(push);
  }

  #commands(known: RefsSnapshot, random: Random, refs: number): { commands: Command[]; objects: SimObject[] } {
    const { objects: graph } = this.#simulation;
    const values = new Map(known.refs);
    const commands: Command[] = [];
    const objects: SimObject[] = [];
    const make = (parent: Oid | undefined): Oid => {
      const made = graph.make(parent);
      objects.push(made);
      return made.oid;
    };
    const count = 1 + random.below(Math.min(3, refs));
    for (let i = 0; i < count; i++) {
      const ref = REFS[random.below(refs)]!;
      if (commands.some((command) => command.ref === ref)) continue;
      const old = values.get(ref);
      const what = random.next();
      if (old === undefined || what < 0.6) commands.push({ ref, old: old ?? ZERO, new: make(old) });
      else if (what < 0.8) commands.push({ ref, old, new: make(graph.parentOf(old)) });
      else commands.push({ ref, old, new: ZERO });
    }
    return { commands, objects };
  }

  /** Through one controller, whichever. */
  #call<T>(
    what: string, random: Random, serve: (life: NonNullable<Simulation['controllers'][number]['life']>, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { network, controllers, options, faults } = this.#simulation;
    const controller = random.pick(controllers);
    // A read has nothing to be broken off.
    const leave = what === 'a push' ? new AbortController() : undefined;
    if (leave !== undefined && faults.strikes('client-leaves')) {
      this.#process.after(random.between(0.5, 30), () => leave.abort(new TrivetError('node_unreachable', { reason: 'the client left' })));
    }
    return network.call({
      from: this.#process, to: controller.name, what, server: () => controller.life, processOf: ({ process }) => process,
      serve, deadlineMs: options.clientMs, signal: leave?.signal, once: true,
    });
  }
}

function commandText({ ref, old, new: oid }: Command): string {
  return `${ref.slice(5)} ${shortOid(old)} → ${shortOid(oid)}`;
}

/** Object ids here are small numbers. */
export function shortOid(oid: string | undefined): string {
  return oid === undefined || oid === ZERO ? 'nothing' : oid.replace(/^0+/, '#');
}
