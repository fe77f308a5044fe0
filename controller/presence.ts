import { hostname } from 'node:os';
import type { ControllerIdentity, ControllerRecord, Controllers, Rates, SharedSettings } from './store/controllers.ts';

/** One setting in which a controller isn't like the one that started last. */
export interface Difference {
  setting: string;
  value: number | null;
  newest: number | null;
}

/** What becomes known of this controller among the others. */
export interface PresenceEvents {
  /** At the start: another one that runs was told something else. */
  settingsDiffer(other: string, differences: readonly Difference[]): void;
  /** @param differing how many of those that run aren't like the one that started last */
  controllersSeen(running: number, differing: number): void;
  /** Another process has come under this controller's name, as it was silent for too long. */
  nameTaken(): void;
}

/**
 * Says in SQL that this controller is here, and with which settings.
 *
 * A stale configuration is shown, not refused: in a rolling change there are always two for a while, and no setting may
 * break what must be true. Each of them says how long somebody waits or how much somebody takes on; what is true is decided
 * by SQL and by the nodes' journals, which ask no setting.
 */
export class Presence {
  readonly #controllers: Controllers;
  readonly #self: ControllerIdentity;
  readonly #events: PresenceEvents;
  readonly #rates: () => Promise<Rates>;

  /** @param rates what it did since it was last asked */
  constructor(controllers: Controllers, self: Omit<ControllerIdentity, 'process'>, events: PresenceEvents, rates: () => Promise<Rates>) {
    this.#controllers = controllers;
    this.#self = { ...self, process: `${hostname()}:${process.pid}` };
    this.#events = events;
    this.#rates = rates;
  }

  /** Throws `controller_name_in_use` when another process of this name runs. */
  async begin(): Promise<void> {
    await this.#controllers.register(this.#self, isGoneHere);
    const others = (await this.#controllers.list()).filter(({ id, alive }) => alive && id !== this.#self.id);
    for (const other of others) {
      const differences = differencesOf(this.#self.settings, other.settings);
      if (differences.length > 0) this.#events.settingsDiffer(other.id, differences);
    }
  }

  /** To be called a few times in ALIVE_MS. */
  async renew(): Promise<void> {
    if (!await this.#controllers.renew(this.#self, await this.#rates())) this.#events.nameTaken();
    const running = describeControllers(await this.#controllers.list()).filter(({ alive }) => alive);
    this.#events.controllersSeen(running.length, running.filter(({ differences }) => differences.length > 0).length);
  }

  async end(): Promise<void> {
    await this.#controllers.leave(this.#self);
  }
}

/** Each controller beside the settings of that one of those running which started last. */
export function describeControllers(controllers: readonly ControllerRecord[]): (ControllerRecord & { differences: Difference[] })[] {
  const newest = controllers.filter(({ alive }) => alive).sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime())[0];
  return controllers.map((controller) => ({
    ...controller, differences: newest === undefined ? [] : differencesOf(controller.settings, newest.settings),
  }));
}

/** A setting that one of the two programs doesn't know yet is no difference. */
function differencesOf(settings: SharedSettings, newest: SharedSettings): Difference[] {
  return Object.keys(newest).filter((key) => key in settings && settings[key] !== newest[key])
    .map((setting) => ({ setting, value: settings[setting]!, newest: newest[setting]! }));
}

/** A process of this host that isn't there any more, or was this process's number: in a container all begin with 1. */
function isGoneHere(name: string): boolean {
  const [, host, pid] = /^(.*):(\d+)$/.exec(name) ?? [];
  if (host !== hostname()) return false;
  if (Number(pid) === process.pid) return true;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'ESRCH';
  }
}
