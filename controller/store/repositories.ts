import { TrivetError } from '@trivet/proto/errors.ts';
import type { Policy } from '@trivet/proto/messages.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import type { Database } from './database.ts';
import { attempt, classify } from './failure.ts';
import { insertImport, type NewImport } from './imports.ts';
import { nameKey, nameTaken, trashName } from './names.ts';
import { openJobs } from './open-jobs.ts';
import type { NodeState, Replica, ReplicaState, RepositoryState, Route } from './rows.ts';
import { placeholders, READ_ONLY, type Row, serverRow, toDate } from './sql.ts';

export interface NewRepository {
  id: string;
  name: string;
  objectFormat: ObjectFormat;
  defaultBranch: string;
  replicationFactor: number;
  /** The refs digest of the empty repository: HEAD alone. */
  digest: string;
  /** Everything is allowed where it isn't given. */
  policy?: Policy;
  /** What shall fill it: until that is over it is `importing`. */
  import?: NewImport;
  /** Ids of the nodes that hold its replicas; each must be registered. */
  nodes: string[];
  missing?: readonly string[];
}

/** What repositories there are, and where. Who may move a repository's generation is in decisions.ts. */
export class Repositories {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Records a repository that exists on its nodes already: generation 0, every replica current.
   * @param input.missing those of the nodes on which it could not be made
   * Throws `repository_exists` when the name is taken, also by one that differs in case only; `not_enough_nodes` when a
   * node isn't registered; `outcome_unknown` when it may have been recorded.
   */
  async create(input: NewRepository): Promise<void> {
    const { id, name, nodes, missing = [], digest, policy } = input;
    const now = new Date();
    await attempt(async () => {
      try {
        await this.#db.sql.transaction(async (statements) => {
          await statements.run(
            `INSERT INTO repositories (id, name, name_key, state, object_format, default_branch, replication_factor, generation,
               refs_digest, deny_non_fast_forwards, deny_deletes, created_at) VALUES (${placeholders(12)})`,
            [id, name, nameKey(name), input.import === undefined ? 'ready' : 'importing', input.objectFormat, input.defaultBranch,
              input.replicationFactor, 0, digest, policy?.denyNonFastForwards ?? false, policy?.denyDeletes ?? false, now],
          );
          if (input.import !== undefined) await insertImport(statements, { ...input.import, repository: id, repositoryName: name });
          for (const node of nodes) {
            const [state, reason] = missing.includes(node) ? ['missing', NOT_CREATED] : ['current', null];
            await statements.run(
              `INSERT INTO replicas (repository_id, node_id, state, generation, digest, reason, changed_at)
               VALUES (${placeholders(7)})`,
              [id, node, state, 0, digest, reason, now],
            );
          }
          await openJobs(statements, id, missing, 'missing', NOT_CREATED);
        });
      } catch (error) {
        const failure = classify(error);
        if (failure === 'duplicate') throw await nameTaken(this.#db.sql, name, error);
        if (failure === 'orphan') throw new TrivetError('not_enough_nodes', { nodes }, { cause: error });
        throw error;
      }
    }, 'outcome_unknown');
  }

  /** The repository of this name, which is compared byte by byte. One indexed statement: every request asks this. */
  async route(name: string): Promise<Route | undefined> {
    const route = await this.#one('name', name);
    // MySQL takes no notice of spaces at the end.
    return route?.repository.name === name ? route : undefined;
  }

  async routeById(id: string): Promise<Route | undefined> {
    return this.#one('id', id);
  }

  /**
   * One page of repositories in the order of their names' bytes, without those in the trash.
   * @param page.after the last name of the page before; none for the first page
   */
  async list(page: { after?: string; limit: number }): Promise<Route[]> {
    return this.#between(page.after === undefined || page.after < TRASH_END ? TRASH_END : page.after, LAST_NAME, page.limit);
  }

  /** How many there are outside the trash. Reads an index from end to end. */
  async count(): Promise<number> {
    const [row] = await attempt(() => this.#db.sql.all('SELECT COUNT(*) AS count FROM repositories WHERE trashed_at IS NULL'));
    return Number(row?.['count']);
  }

  /** One page of the trash in the order of ids. @param page.after the last id of the page before */
  async trash(page: { after?: string; limit: number }): Promise<Route[]> {
    return this.#between(trashName(page.after ?? ''), TRASH_END, page.limit);
  }

  async #between(after: string, before: string, limit: number): Promise<Route[]> {
    return toRoutes(await attempt(() => this.#db.sql.all(
      `SELECT ${COLUMNS} FROM repositories p ${REPLICAS} JOIN (SELECT id FROM repositories WHERE name > ? AND name < ? ORDER BY name LIMIT ?) AS page ON page.id = p.id
       ORDER BY p.name`,
      [after, before, limit],
    )));
  }

  async #one(column: 'name' | 'id', key: string): Promise<Route | undefined> {
    const rows = await attempt(() => this.#db.sql.all(ROUTE[this.#db.dialect][column], [key]));
    return toRoutes(rows.filter((row) => row['id'] !== null))[0];
  }
}

const NOT_CREATED = 'could not be created';

/** Behind every name in the trash, and before every other: `0` comes right after `/`, and no name begins with a dot. */
const TRASH_END = '.trash0';
/** Behind every name: names are ASCII, and end before this. */
const LAST_NAME = '~';

const COLUMNS = `p.id, p.name, p.state AS repository_state, p.object_format, p.default_branch, p.replication_factor,
    p.intended_factor, p.generation, p.refs_digest, p.deny_non_fast_forwards, p.deny_deletes, p.created_at, p.trashed_name, p.trashed_at,
    r.node_id, r.state, r.generation AS replica_generation, r.digest, r.reason, r.changed_at, r.verified_at, r.checked_at,
    n.url, n.state AS node_state`;
const REPLICAS = `LEFT JOIN replicas r ON r.repository_id = p.id
  LEFT JOIN nodes n ON n.id = r.node_id`;

/** One row at least, even of nothing: only a server that takes writes knows what isn't there. */
const routeBy = (dialect: 'mysql' | 'sqlite', column: 'name' | 'id') => (
  `SELECT ${COLUMNS}, server.${READ_ONLY} FROM ${serverRow(dialect)} AS server
   LEFT JOIN repositories p ON p.${column} = ? ${REPLICAS}`);
/** Every request asks one of these. */
const ROUTE = {
  mysql: { name: routeBy('mysql', 'name'), id: routeBy('mysql', 'id') },
  sqlite: { name: routeBy('sqlite', 'name'), id: routeBy('sqlite', 'id') },
};

/** Rows, one for each replica, as routes in the order in which their repositories first appear. */
function toRoutes(rows: readonly Row[]): Route[] {
  const routes = new Map<string, Route>();
  for (const row of rows) {
    const id = String(row['id']);
    let route = routes.get(id);
    if (route === undefined) routes.set(id, route = toRoute(row));
    if (row['node_id'] !== null) route.replicas.push(toReplica(row));
  }
  for (const route of routes.values()) route.replicas.sort((a, b) => (a.node < b.node ? -1 : 1));
  return [...routes.values()];
}

function toRoute(row: Row): Route {
  return {
    repository: {
      id: String(row['id']),
      name: String(row['name']),
      state: row['repository_state'] as RepositoryState,
      objectFormat: row['object_format'] as ObjectFormat,
      defaultBranch: String(row['default_branch']),
      replicationFactor: Number(row['replication_factor']),
      intendedFactor: row['intended_factor'] === null ? null : Number(row['intended_factor']),
      generation: Number(row['generation']),
      digest: String(row['refs_digest']),
      policy: {
        denyNonFastForwards: Number(row['deny_non_fast_forwards']) !== 0,
        denyDeletes: Number(row['deny_deletes']) !== 0,
      },
      createdAt: toDate(row['created_at']),
      trashed: row['trashed_at'] === null ? null : { name: String(row['trashed_name']), at: toDate(row['trashed_at']) },
    },
    replicas: [],
  };
}

function toReplica(row: Row): Replica {
  return {
    node: String(row['node_id']),
    url: String(row['url']),
    nodeState: row['node_state'] as NodeState,
    state: row['state'] as ReplicaState,
    generation: Number(row['replica_generation']),
    digest: String(row['digest']),
    reason: row['reason'] as string | null,
    changedAt: toDate(row['changed_at']),
    verifiedAt: row['verified_at'] === null ? null : toDate(row['verified_at']),
    checkedAt: row['checked_at'] === null ? null : toDate(row['checked_at']),
  };
}
