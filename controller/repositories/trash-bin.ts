import { TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import type { Repositories } from '../store/repositories.ts';
import type { Route } from '../store/rows.ts';
import type { Trash } from '../store/trash.ts';

/** Repositories purged by one pass at most; the rest follows at the next. */
const PURGE_LIMIT = 100;

/** Deletes repositories by putting them into the trash, from where they come back whole, or go for good. */
export class TrashBin {
  readonly #trash: Trash;
  readonly #repositories: Repositories;
  readonly #retentionMs: number;
  readonly #failpoint: Failpoint;
  readonly #onPurged: (repository: string) => void;

  /** @param input.retentionMs how long they stay */
  constructor(input: { trash: Trash; repositories: Repositories; retentionMs: number; failpoint: Failpoint; onPurged(repository: string): void }) {
    this.#trash = input.trash;
    this.#repositories = input.repositories;
    this.#retentionMs = input.retentionMs;
    this.#failpoint = input.failpoint;
    this.#onPurged = input.onPurged;
  }

  /**
   * @returns what was there
   * @throws TrivetError repository_not_found, repository_importing
   */
  async put(name: string): Promise<Route> {
    const route = await this.#repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    await this.#failpoint('trash-begin');
    if (!await this.#trash.put(route.repository)) throw new TrivetError('repository_not_found', { repository: name });
    await this.#failpoint('trash-end');
    return route;
  }

  /**
   * @param name what it shall be called; the name it had unless it is given
   * @throws TrivetError repository_not_found, repository_exists
   */
  async restore(id: string, name: string | undefined): Promise<Route> {
    const { repository } = await this.#trashed(id);
    await this.#failpoint('restore-begin');
    await this.#trash.restore(id, name ?? repository.trashed!.name);
    await this.#failpoint('restore-end');
    const route = await this.#repositories.routeById(id);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: id });
    return route;
  }

  /**
   * Takes one away for good, whether or not its time has come.
   * @returns what was there
   * @throws TrivetError repository_not_found
   */
  async purge(id: string): Promise<Route> {
    const route = await this.#trashed(id);
    if (!await this.#purge(id)) throw new TrivetError('repository_not_found', { repository: id });
    return route;
  }

  /** Takes away what has been in the trash for longer than it is kept. */
  async run(): Promise<void> {
    for (const id of await this.#trash.expired(this.#retentionMs, PURGE_LIMIT)) await this.#purge(id);
  }

  /** When a repository will be gone. */
  expiresAt(trashedAt: Date): Date {
    return new Date(trashedAt.getTime() + this.#retentionMs);
  }

  async #purge(id: string): Promise<boolean> {
    await this.#failpoint('purge-begin');
    const purged = await this.#trash.purge(id);
    await this.#failpoint('purge-end');
    if (purged) this.#onPurged(id);
    return purged;
  }

  async #trashed(id: string): Promise<Route> {
    const route = await this.#repositories.routeById(id);
    if (route?.repository.trashed == null) throw new TrivetError('repository_not_found', { repository: id });
    return route;
  }
}
