import { Agent, request } from 'undici';
import { Check } from 'typebox/value';
import { TrivetError } from '@trivet/proto/errors.ts';
import { RefsSnapshot, type RepairRequest, type ReplicaPosition } from '@trivet/proto/messages.ts';
import { runGit } from '../git/process.ts';
import type { Journal } from '../participant/journal.ts';
import type { Replica } from '../repository/replica.ts';
import type { Replicas } from '../repository/replicas.ts';
import { writeReplicaRecord } from '../repository/position-file.ts';

const SNAPSHOT_DEADLINE_MS = 60_000;

/**
 * Makes a replica equal to another node's. The controller calls it in rounds: `objects` any number of times while
 * pushes go on, then `refs` once inside the repository's turn, when the source can't change any more.
 */
export class Repair {
  readonly #replicas: Replicas;
  readonly #journal: Journal;
  readonly #token: string;
  readonly #flush: () => Promise<void>;
  readonly #onFetched: (gitDir: string) => void;
  readonly #agent = new Agent({ connections: 4 });

  /**
   * @param flush brings everything written to this node's file system to the disk
   * @param onFetched told whenever git may have added packs to a replica's store
   */
  constructor(
    replicas: Replicas, journal: Journal, token: string, flush: () => Promise<void>, onFetched: (gitDir: string) => void,
  ) {
    this.#replicas = replicas;
    this.#journal = journal;
    this.#token = token;
    this.#flush = flush;
    this.#onFetched = onFetched;
  }

  /**
   * Runs one round.
   * @returns where the replica stands afterwards
   * @throws TrivetError replica_busy while a promise is held, git_failed, repair_failed
   */
  async run(id: string, message: RepairRequest, signal: AbortSignal): Promise<ReplicaPosition> {
    await this.#makeReadable(id, message);
    return this.#replicas.use(id, async (replica) => {
      refuseWhilePromised(replica);
      const snapshot = await this.#snapshot(id, message.source, signal);
      await this.#fetch(replica, message.source, snapshot, signal);
      if (message.round === 'refs') await replica.exclusively(() => this.#takeOver(replica, snapshot));
      return replica.position;
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** A replica that isn't here, or can't be read, is made anew. */
  async #makeReadable(id: string, message: RepairRequest): Promise<void> {
    try {
      await this.#replicas.use(id, async () => {});
    } catch (error) {
      // The controller asks for a repair only when another replica is current, so what can't be read here holds
      // nothing that isn't there too.
      if (!(error instanceof TrivetError && (error.code === 'replica_missing' || error.code === 'refs_unreadable'))) throw error;
      await this.#replicas.remove(id);
      await this.#replicas.create(id, message.objectFormat, 'refs/heads/main');
    }
  }

  async #takeOver(replica: Replica, snapshot: RefsSnapshot): Promise<void> {
    refuseWhilePromised(replica);
    await replica.refs.replaceAll(snapshot.head, snapshot.refs);
    const { digest } = replica.refs;
    if (digest !== snapshot.digest) throw new TrivetError('repair_failed', { repository: replica.id, expected: snapshot.digest, got: digest });
    await writeReplicaRecord(replica.gitDir, { repository: replica.id, objectFormat: replica.objectFormat, generation: snapshot.generation, digest });
    // On the disk before the journal says that earlier promises no longer count.
    await this.#flush();
    await this.#journal.append({ kind: 'restart', repository: replica.id }, true);
    replica.adopt(snapshot.generation);
    replica.recordedGeneration = snapshot.generation;
  }

  async #snapshot(id: string, source: string, signal: AbortSignal): Promise<RefsSnapshot> {
    const response = await request(`${source}/repositories/${id}/refs`, {
      dispatcher: this.#agent, signal, headers: { authorization: `Bearer ${this.#token}` },
      headersTimeout: SNAPSHOT_DEADLINE_MS, bodyTimeout: SNAPSHOT_DEADLINE_MS,
    });
    const answer = await response.body.json();
    if (response.statusCode !== 200 || !Check(RefsSnapshot, answer)) throw new TrivetError('repair_failed', { source, status: response.statusCode });
    return answer;
  }

  async #fetch(replica: Replica, source: string, snapshot: RefsSnapshot, signal: AbortSignal): Promise<void> {
    const wanted = new Set(snapshot.refs.filter(([name, oid]) => replica.refs.get(name) !== oid).map(([, oid]) => oid));
    if (wanted.size === 0) return;
    try {
      await runGit(['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', '--stdin', `${source}/repositories/${replica.id}`], {
        gitDir: replica.gitDir,
        signal,
        input: [...wanted].join('\n') + '\n',
        env: {
          // Through the environment, for everyone can read a command line.
          GIT_CONFIG_COUNT: '2',
          GIT_CONFIG_KEY_0: 'http.extraHeader',
          GIT_CONFIG_VALUE_0: `Authorization: Bearer ${this.#token}`,
          GIT_CONFIG_KEY_1: 'protocol.version',
          GIT_CONFIG_VALUE_1: '2',
        },
      });
    } finally {
      // Even a fetch that failed may have left a pack.
      this.#onFetched(replica.gitDir);
    }
  }
}

/** A promise is settled first: what it changes must not come over what is brought here. */
function refuseWhilePromised(replica: Replica): void {
  if (replica.promise !== undefined) throw new TrivetError('replica_busy', { repository: replica.id, holds: replica.promise.record.batch });
}
