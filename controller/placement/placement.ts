import type { Clock } from '@trivet/proto/clock.ts';
import { freeShare } from '../nodes/free-share.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Members, Membership } from '../store/membership.ts';
import { HEARD_WITHIN_MS, type Nodes } from '../store/nodes.ts';
import type { Node } from '../store/rows.ts';
import { Away } from './away.ts';
import { planRepository, type PlacementSteps, type PlannedNode } from './plan.ts';
import { imbalanceOf, mayMove } from './rebalance.ts';

export interface PlacementOptions {
  /** How often all repositories are looked through. */
  intervalMs: number;
  /** A node that nobody has heard of for so long has its replicas rebuilt elsewhere. */
  awayMs: number;
  /** New replicas that are filled at once, in all and on each node. */
  moves: number;
  movesPerNode: number;
  /** The difference of two nodes' free shares above which replicas move, 0 to 1; 0: they never do for that. */
  imbalance: number;
  /** Pause between two such moves. */
  rebalancePauseMs: number;
}

/** One function for the metric and the log of every step. */
export interface PlacementEvents {
  replicaAdded(repository: string, node: string, reason: string, detail: string): void;
  replicaTakenAway(repository: string, node: string, reason: string): void;
  factorSettled(repository: string, intended: number): void;
  /** After each look through all repositories: how many lack a replica for which there is no node. */
  unplaced(count: number): void;
}

/** Repositories read by one query, looked at by one tick, and scanned by one query. */
const BATCH = 200;
const PER_TICK = 500;
const SCAN = 1_000;
/** Repositories remembered because something is under way; what doesn't fit is found again by the next look through all. */
const MAX_WATCHED = 10_000;
/** Repositories compared with SQL by one tick, so that a replica may go. */
const VERIFICATIONS_PER_TICK = 8;
/** Repositories tried for one move between two nodes. */
const MOVABLE = 50;

/**
 * Brings replicas to where they should be. Held by one controller at a time, for the cost alone: each step is a SQL
 * transaction that finds for itself whether it may be taken.
 *
 * Each tick looks at the repositories of which something is under way, and at some of those on nodes that are leaving; all
 * are looked through once in `intervalMs`, and whenever a node comes, goes or changes its state.
 */
export class Placement {
  readonly #membership: Membership;
  readonly #nodeRows: Pick<Nodes, 'list' | 'silentMs'>;
  readonly #nodes: NodeRegistry;
  readonly #verify: (repository: string) => Promise<unknown>;
  readonly #events: PlacementEvents;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #options: PlacementOptions;
  readonly #away: Away;
  /** In the order in which they are looked at next. */
  readonly #watched = new Set<string>();
  #leavingAfter = '';
  #movableAfter = '';
  #scannedAt = -Infinity;
  #scannedNodes = '';
  #rebalancing = false;
  #rebalancedAt = -Infinity;
  /** The repository that was moved last for that. */
  #rebalanced = '';

  /** @param input.verify compares every replica of a repository with SQL */
  constructor(input: {
    membership: Membership; nodeRows: Pick<Nodes, 'list' | 'silentMs'>; nodes: NodeRegistry; verify(repository: string): Promise<unknown>;
    events: PlacementEvents; clock: Clock; random(): number; options: PlacementOptions;
  }) {
    this.#membership = input.membership;
    this.#nodeRows = input.nodeRows;
    this.#nodes = input.nodes;
    this.#verify = input.verify;
    this.#events = input.events;
    this.#clock = input.clock;
    this.#random = () => input.random();
    this.#options = input.options;
    this.#away = new Away(input.options.awayMs);
  }

  /** @param held whether this work still is this controller's */
  async tick(held: () => Promise<boolean>): Promise<void> {
    const pass = await this.#begin();
    const watched = [...this.#watched].slice(0, PER_TICK);
    await this.#look(pass, watched);
    await this.#look(pass, (await this.#onLeaving(pass)).filter((id) => !watched.includes(id)));
    await this.#scanWhenDue(pass, held);
    await this.#rebalance(pass);
    await Promise.all([...pass.unverified].slice(0, VERIFICATIONS_PER_TICK).map((repository) => this.#verify(repository).catch(() => {})));
  }

  async #begin(): Promise<Pass> {
    const [rows, silentMs, moves] = [await this.#nodeRows.list(), await this.#nodeRows.silentMs(), await this.#membership.moves()];
    const away = this.#away.look(silentMs, this.#clock.elapsed());
    const nodes = new Map(rows.map((row): [string, PlannedNode] => {
      const role = row.state === 'draining' || row.state === 'removed' || away.has(row.id) ? 'leaving' : row.state === 'active' ? 'open' : 'staying';
      return [row.id, { ...this.#measured(row), role, room: Math.max(0, this.#options.movesPerNode - (moves.get(row.id) ?? 0)) }];
    }));
    // What is to be filled on a node that is away holds up nobody.
    const underWay = [...moves].filter(([node]) => nodes.get(node)?.role !== 'leaving').reduce((sum, [, count]) => sum + count, 0);
    return { nodes, leaving: [...nodes.values()].filter(({ role }) => role === 'leaving').map(({ id }) => id), underWay, unverified: new Set() };
  }

  #measured({ id, zone, diskFreeBytes, diskTotalBytes, loadAverage }: Node): Omit<PlannedNode, 'role' | 'room'> {
    const status = this.#nodes.get(id)?.status;
    const free = freeShare(status ?? { diskFreeBytes: diskFreeBytes ?? 0, diskTotalBytes: diskTotalBytes ?? 1 });
    return { id, zone, usable: this.#nodes.writable(id) !== undefined, free, load: status?.loadAverage ?? loadAverage ?? 0 };
  }

  /** The next of those with a replica on a leaving node; from the beginning again after the last. */
  async #onLeaving({ leaving }: Pass): Promise<string[]> {
    const ids = await this.#membership.onNodes(leaving, { after: this.#leavingAfter, limit: PER_TICK });
    this.#leavingAfter = ids.length < PER_TICK ? '' : ids.at(-1)!;
    return ids;
  }

  async #scanWhenDue(pass: Pass, held: () => Promise<boolean>): Promise<void> {
    const now = this.#clock.elapsed();
    const signature = [...pass.nodes.values()].map(({ id, role, zone, usable }) => `${id} ${role} ${zone} ${usable}`).join('\n');
    if (now - this.#scannedAt < this.#options.intervalMs && signature === this.#scannedNodes) return;
    const zones = new Set([...pass.nodes.values()].filter(({ role, usable }) => role === 'open' && usable).map(({ zone }) => zone)).size;
    let unplaced = 0;
    let after: string | undefined = '';
    while (after !== undefined && await held()) {
      const { found, last } = await this.#membership.misplaced({ after, scan: SCAN, leaving: pass.leaving, zones });
      unplaced += await this.#look(pass, found);
      after = last;
    }
    if (after !== undefined) return;
    this.#scannedAt = now;
    this.#scannedNodes = signature;
    this.#events.unplaced(unplaced);
  }

  /** Takes the next steps of these repositories. @returns how many of them lack a node for a replica */
  async #look(pass: Pass, repositories: readonly string[]): Promise<number> {
    let unplaced = 0;
    for (let i = 0; i < repositories.length; i += BATCH) {
      const batch = repositories.slice(i, i + BATCH);
      const members = await this.#membership.of(batch);
      const there = new Set(members.map(({ repository }) => repository));
      for (const id of batch) if (!there.has(id)) this.#watched.delete(id);
      for (const each of members) {
        const steps = this.#plan(each, pass);
        await this.#take(each, steps, pass);
        if (steps.unplaced > 0) unplaced += 1;
      }
    }
    return unplaced;
  }

  #plan({ repository, removing, ...members }: Members, { nodes }: Pass): PlacementSteps {
    return planRepository({ id: repository, ...members, removing: new Set(removing) }, nodes, this.#random);
  }

  async #take(members: Members, steps: PlacementSteps, pass: Pass): Promise<void> {
    const { repository, intended, replicas } = members;
    for (const { node, reason, detail } of steps.add) {
      if (pass.underWay >= this.#options.moves) break;
      if (await this.#membership.add({ repository, node, reason, detail })) this.#added(pass, repository, node, reason, detail);
    }
    if (steps.settle && await this.#membership.settleFactor(repository)) this.#events.factorSettled(repository, intended);
    if (steps.takeAway !== undefined && steps.verify) pass.unverified.add(repository);
    if (steps.takeAway !== undefined && !steps.verify) {
      const { node, reason } = steps.takeAway;
      if (await this.#membership.takeAway({ repository, node, reason, heardWithinMs: HEARD_WITHIN_MS })) this.#events.replicaTakenAway(repository, node, reason);
    }
    // Something more is to be done when what is under way has ended.
    const waits = steps.add.length > 0 || replicas.length > intended || members.changing;
    this.#watched.delete(repository);
    if (waits && this.#watched.size < MAX_WATCHED) this.#watched.add(repository);
  }

  #added(pass: Pass, repository: string, node: string, reason: string, detail: string): void {
    pass.underWay += 1;
    const target = pass.nodes.get(node)!;
    pass.nodes.set(node, { ...target, room: target.room - 1 });
    this.#events.replicaAdded(repository, node, reason, detail);
  }

  /** One replica at a time, and only when nothing else moves. */
  async #rebalance(pass: Pass): Promise<void> {
    const { imbalance, rebalancePauseMs } = this.#options;
    const now = this.#clock.elapsed();
    if (pass.underWay > 0 || this.#watched.has(this.#rebalanced) || now - this.#rebalancedAt < rebalancePauseMs) return;
    const due = imbalanceOf([...pass.nodes.values()], imbalance, this.#rebalancing);
    this.#rebalancing = due !== undefined;
    if (due === undefined) return;
    const ids = await this.#membership.movable(due.from, due.to, { after: this.#movableAfter, limit: MOVABLE });
    this.#movableAfter = ids.length < MOVABLE ? '' : ids.at(-1)!;
    for (const members of await this.#membership.of(ids)) {
      const { repository, replicas, intended, changing, removing } = members;
      const whole = !changing && replicas.length === intended && replicas.every(({ current }) => current) && !removing.includes(due.to);
      if (!whole || !mayMove(replicas.map(({ node }) => node), due, pass.nodes)) continue;
      const detail = `${due.from} is fuller than ${due.to}`;
      if (!await this.#membership.add({ repository, node: due.to, reason: 'move', detail })) continue;
      this.#added(pass, repository, due.to, 'move', detail);
      this.#watched.add(repository);
      this.#rebalanced = repository;
      this.#rebalancedAt = now;
      return;
    }
  }
}

/** What one tick works with. */
interface Pass {
  nodes: Map<string, PlannedNode>;
  leaving: string[];
  /** New replicas that are being filled. */
  underWay: number;
  /** Repositories whose replicas must be compared with SQL before one may go. */
  unverified: Set<string>;
}
