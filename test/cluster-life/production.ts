import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { PATIENCE_MS, until } from '../cluster.ts';
import { Client, type Target } from '../chaos/clients/client.ts';
import { WorkRepository } from '../chaos/clients/work-repository.ts';
import { judgeHistory } from '../chaos/check/history.ts';
import { judgeReplicas } from '../chaos/check/replicas.ts';
import type { Violation } from '../chaos/check/violation.ts';
import { Deployment, type DeploymentOptions } from '../chaos/deployment/deployment.ts';
import { History } from '../chaos/history/history.ts';
import { Random } from '../chaos/random.ts';

/** Where HEAD points. */
export const MAIN = 'refs/heads/main';

/**
 * Nothing is taken for dead that is only slow, as everything is on a busy machine: what ends here says so, or its
 * connections do.
 */
export const PATIENT = {
  TRIVET_HEARTBEAT_DEADLINE_MS: '20000', TRIVET_SILENT_MS: '20000', TRIVET_PROMISE_DEADLINE_MS: '30000',
  TRIVET_VOTE_GRACE_MS: '10000', TRIVET_PREPARE_GRACE_MS: '10000', TRIVET_COMMIT_GRACE_MS: '10000', TRIVET_PREPARE_MS: '30000', TRIVET_COMMIT_MS: '30000', TRIVET_DECIDE_MS: '30000',
};

/** Two controllers on a MariaDB and some nodes, all processes of their own, and git clients that write down what they see. */
export class Production {
  readonly deployment: Deployment;
  readonly history: History;
  readonly targets: readonly Target[];
  readonly #over = new AbortController();
  #working: Promise<unknown> = Promise.resolve();
  #reader: Client | undefined;
  #clients: readonly string[] = [];

  private constructor(deployment: Deployment, targets: readonly Target[]) {
    this.deployment = deployment;
    this.targets = targets;
    this.history = new History(join(deployment.directory, 'history.jsonl'));
  }

  /** @param repositories by name, with what they are created with */
  static async start(t: ExecutionContext, options: DeploymentOptions, repositories: Record<string, object>): Promise<Production> {
    const deployment = await Deployment.start(options);
    const late: { production?: Production } = {};
    t.teardown(async () => {
      await late.production?.endWork();
      await deployment.stop();
      // What went on is needed only where something went wrong.
      if (t.passed) await deployment.remove();
      else t.log(`logs and history are in ${deployment.directory}`);
    });
    await deployment.untilUsed(PATIENCE_MS);
    for (const [name, body] of Object.entries(repositories)) {
      const response = await fetch(`${deployment.controllers[0]!.url}/api/repos/${name}`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
      });
      if (response.status !== 201) throw new Error(`create ${name}: ${response.status} ${await response.text()}`);
    }
    const production = late.production = new Production(deployment, Object.keys(repositories).map((name) => ({ name, objectFormat: 'sha1' })));
    await production.#pushMain();
    return production;
  }

  /** HEAD follows the first branch of a repository; later no client touches it. */
  async #pushMain(): Promise<void> {
    const { deployment, history } = this;
    const client = 'the beginning';
    const work = await WorkRepository.create(join(deployment.directory, 'clients', 'beginning'), 'sha1', client);
    const commit = await work.commit([], new Random(0), 0);
    for (const { name } of this.targets) {
      const begin = history.now();
      const { updates, code, text } = await work.push(`${deployment.controllers[0]!.url}/git/${name}.git`, new Map([[MAIN, commit]]), { force: false, atomic: false });
      history.add({ type: 'push', client, repository: name, controller: deployment.controllers[0]!.name, begin, end: history.now(), force: false, atomic: false, updates });
      if (code !== 0) throw new Error(`push ${name}: ${text}`);
    }
  }

  /**
   * Lets clients work until `endWork`.
   * @param entrances where they reach the cluster, by name; each git takes any
   */
  work(clients: number, entrances: ReadonlyMap<string, string>): void {
    const made = Array.from({ length: clients }, (_, i) => new Client({
      name: `client${i + 1}`, history: this.history, directory: join(this.deployment.directory, 'clients'), controllers: [...entrances.keys()],
      random: new Random(i), targets: () => this.targets, gitUrl: (entrance, repository) => `${entrances.get(entrance)}/git/${repository}.git`,
    }));
    [this.#reader] = made;
    this.#clients = made.map((_, i) => `client${i + 1}`);
    this.#working = Promise.all(made.map((client) => client.run(this.#over.signal)));
    // Awaited in `endWork`; should it fail before, it is no unhandled rejection.
    this.#working.catch(() => {});
  }

  async endWork(): Promise<void> {
    this.#over.abort();
    await this.#working;
  }

  /** Pushes acknowledged since a moment of the run. */
  acknowledgedSince(begin: number): number {
    return this.history.pushes.filter((push) => push.begin >= begin && push.updates.some(({ outcome }) => outcome === 'ok')).length;
  }

  /**
   * Waits until no repository has fewer current replicas than it shall have, and it stays so: a push that began before may
   * have voted without a replica that is current by now, and would outdate it again. Work may go on meanwhile.
   */
  async untilNothingIsAtRisk(): Promise<void> {
    let risk: string | undefined;
    do {
      await until(async () => (risk = await this.#risk()) === undefined, PATIENCE_MS, () => `still at risk: ${risk}`);
      const now = this.history.now();
      const isOver = (client: string) => this.#over.signal.aborted || this.history.records.some((record) => 'client' in record && record.client === client && record.begin > now);
      await until(() => this.#clients.every(isOver), PATIENCE_MS, () => 'a client does not come to an end');
    } while (await this.#risk() !== undefined);
  }

  /** What any controller says is at risk, or which node it doesn't use; undefined when all is well. */
  async #risk(): Promise<string | undefined> {
    for (const { url } of this.deployment.controllers) {
      const get = (path: string) => fetch(`${url}${path}`, { signal: AbortSignal.timeout(10_000) }).then(async (response) => await response.json() as unknown);
      try {
        const risk = await get('/api/v1/at-risk') as { total: number };
        if (risk.total !== 0) return JSON.stringify(risk);
        const nodes = await get('/api/nodes') as { id: string; trouble: string | null }[];
        const troubled = nodes.filter(({ id, trouble }) => trouble !== null && this.deployment.nodes.some(({ name }) => name === id));
        if (troubled.length > 0) return JSON.stringify(troubled);
      } catch (error) {
        return (error as Error).message;
      }
    }
    return undefined;
  }

  /** What is wrong once work has ended: with what clients saw through any of the entrances, and with the replicas on disks. */
  async judge(entrances: readonly string[]): Promise<Violation[]> {
    const { deployment, history } = this;
    await until(() => deployment.isSettled(), PATIENCE_MS, () => 'the replicas did not become equal');
    for (const target of this.targets) for (const entrance of entrances) await this.#reader!.read(target, entrance, 'final');
    const views = await deployment.repositories(deployment.controllers[0]!);
    return [...await judgeReplicas(deployment, history, views), ...judgeHistory(history.records)];
  }
}
