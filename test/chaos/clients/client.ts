import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { History, Value } from '../history/history.ts';
import type { Random } from '../random.ts';
import { LOG_REFS, PAIR_REFS, WILD_REFS } from './refs.ts';
import { WorkRepository, type Listing } from './work-repository.ts';

/** A repository that clients use. */
export interface Target { name: string; objectFormat: 'sha1' | 'sha256' }

export interface ClientOptions {
  name: string;
  random: Random;
  history: History;
  directory: string;
  controllers: readonly string[];
  /** What to use now; changes while the run goes on. */
  targets(): readonly Target[];
  gitUrl(controller: string, repository: string): string;
}

type Action = 'own' | 'log' | 'wild' | 'delete' | 'pair' | 'tags' | 'several' | 'large' | 'list' | 'fetch' | 'clone';

/** How often each is done, against the others. */
const WEIGHTS: Record<Action, number> = {
  own: 6, log: 8, wild: 5, delete: 3, pair: 3, tags: 3, several: 3, large: 1, list: 8, fetch: 3, clone: 1,
};
const ACTIONS = (Object.keys(WEIGHTS) as Action[]).flatMap((action) => Array<Action>(WEIGHTS[action]).fill(action));
const LARGE_BYTES = 2 * 1024 * 1024;

/**
 * One person with stock git, who pushes, fetches and clones through any controller, and writes down what came of it.
 * Some refs are this client's own, for the others (`refs.ts`) it races with everybody else.
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #repositories = new Map<string, WorkRepository>();
  /** Where this client believes refs to be, by repository. */
  readonly #known = new Map<string, Map<string, Value>>();

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { random } = this.#options;
    while (!signal.aborted) {
      const went = await this.#act(random.pick(this.#options.targets()), random.pick(ACTIONS));
      // Who was refused waits a little longer, as people do; without it a cluster in trouble would be asked in a frenzy.
      await sleep(random.between(10, 150) + (went ? 0 : random.between(100, 400)));
    }
  }

  /** Reads everything once; part of the history like every read. */
  async read(target: Target, controller: string, how: 'ls-remote' | 'fetch' | 'clone' | 'final'): Promise<Listing> {
    const { history, name, random } = this.#options;
    const work = await this.#work(target);
    const url = this.#options.gitUrl(controller, target.name);
    const version = random.chance(0.3) ? 0 : 2;
    const begin = history.now();
    const listing = how === 'clone' ? await work.clone(url, version) : how === 'fetch' ? await work.fetch(url, version) : await work.list(url, version);
    history.add({
      type: 'read', how, client: name, repository: target.name, controller, begin, end: history.now(), ok: listing.ok, refs: listing.ok ? listing.refs : {},
      ...(listing.ok ? {} : { text: listing.text }),
    });
    // Only what was fetched can be built upon.
    if (listing.ok && how === 'fetch') this.#known.set(target.name, new Map(Object.entries(listing.refs)));
    return listing;
  }

  async #act(target: Target, action: Action): Promise<boolean> {
    const { random, name } = this.#options;
    const own = `refs/heads/${name}-${random.pick(['a', 'b'])}`;
    switch (action) {
      case 'list': return (await this.read(target, random.pick(this.#options.controllers), 'ls-remote')).ok;
      case 'clone': return (await this.read(target, random.pick(this.#options.controllers), 'clone')).ok;
      case 'fetch': return this.#fetch(target);
      case 'own': return this.#push(target, [own], { force: random.chance(0.2) });
      case 'large': return this.#push(target, [own], { bytes: random.between(LARGE_BYTES / 8, LARGE_BYTES) });
      case 'log': {
        // Without looking first, two who race push from the same commit, and one of them loses.
        if (random.chance(0.6) && !await this.#fetch(target)) return false;
        return this.#push(target, [random.pick(LOG_REFS)], {});
      }
      case 'wild': return this.#push(target, [random.pick(WILD_REFS)], { force: true });
      case 'delete': return this.#push(target, [random.chance(0.5) ? own : random.pick(WILD_REFS)], { force: true, remove: true });
      case 'pair': return this.#push(target, PAIR_REFS, { force: true, atomic: true, same: true });
      case 'tags': return this.#push(target, [`refs/tags/${name}-${random.between(1, 8)}`], { force: true });
      case 'several': return this.#push(target, [`refs/heads/${name}-a`, `refs/heads/${name}-b`, `refs/tags/${name}-1`], { force: random.chance(0.5), atomic: random.chance(0.3) });
    }
  }

  async #fetch(target: Target): Promise<boolean> {
    return (await this.read(target, this.#options.random.pick(this.#options.controllers), 'fetch')).ok;
  }

  async #push(target: Target, refs: readonly string[], options: {
    force?: boolean; atomic?: boolean; remove?: boolean; same?: boolean; bytes?: number;
  }): Promise<boolean> {
    const { random, history, name, controllers } = this.#options;
    const work = await this.#work(target);
    const known = this.#knownOf(target);
    const wanted = new Map<string, Value>();
    const common = options.same === true ? await work.commit([], random, 0) : undefined;
    for (const ref of refs) {
      const parent = known.get(ref) ?? null;
      // Forced, and often not even related to what is there.
      const parents = parent === null || (options.force === true && random.chance(0.5)) ? [] : [parent];
      wanted.set(ref, options.remove === true ? null : common ?? await work.commit(parents, random, options.bytes ?? (random.chance(0.1) ? random.between(100, 5_000) : 0)));
    }
    const controller = random.pick(controllers);
    const force = options.force === true;
    const atomic = options.atomic === true;
    const begin = history.now();
    const { updates, code, text } = await work.push(this.#options.gitUrl(controller, target.name), wanted, { force, atomic });
    history.add({
      type: 'push', client: name, repository: target.name, controller, begin, end: history.now(), force, atomic, updates, ...(code === 0 ? {} : { text }),
    });
    for (const update of updates) if (update.outcome === 'ok') known.set(update.ref, update.new);
    if (updates.every((update) => update.outcome === 'ok')) return true;
    // What is there now, somebody else knows.
    if (random.chance(0.5)) await this.#fetch(target);
    return false;
  }

  #knownOf(target: Target): Map<string, Value> {
    let known = this.#known.get(target.name);
    if (known === undefined) this.#known.set(target.name, known = new Map());
    return known;
  }

  async #work(target: Target): Promise<WorkRepository> {
    let work = this.#repositories.get(target.name);
    if (work === undefined) {
      const { directory, name } = this.#options;
      work = await WorkRepository.create(join(directory, name, target.name), target.objectFormat, name);
      this.#repositories.set(target.name, work);
    }
    return work;
  }
}
