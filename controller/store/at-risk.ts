import { quorumOf } from '../transaction/quorum.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { placeholders } from './sql.ts';

/** What can be wrong with a repository, the worst first. Each is said only of those to which nothing worse applies. */
export const RISKS = ['unavailable', 'no_quorum', 'under_replicated'] as const;
export type Risk = typeof RISKS[number];

export interface RepositoryAtRisk {
  id: string;
  name: string;
  /** The name it had, of one in the trash. */
  trashedName: string | null;
  configured: number;
  /** Current replicas on nodes that can be reached. */
  current: number;
  risk: Risk;
}

/** Repositories with fewer current replicas on reachable nodes than they are configured to have. */
export class RepositoriesAtRisk {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** All of them by name. @param unreachable nodes whose replicas count for nothing at the moment */
  async list(unreachable: readonly string[]): Promise<RepositoryAtRisk[]> {
    const down = unreachable.length === 0 ? "('')" : `(${placeholders(unreachable.length)})`;
    // Begins with the few replicas that are wrong, both by index, and not with all repositories.
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT p.id, p.name, p.trashed_name, p.replication_factor,
         SUM(CASE WHEN r.state = 'current' AND r.node_id NOT IN ${down} THEN 1 ELSE 0 END) AS available
       FROM (SELECT repository_id FROM replicas WHERE state <> 'current'
             UNION SELECT repository_id FROM replicas WHERE node_id IN ${down}) AS suspects
       JOIN repositories p ON p.id = suspects.repository_id
       JOIN replicas r ON r.repository_id = p.id
       GROUP BY p.id, p.name, p.trashed_name, p.replication_factor ORDER BY p.name`,
      [...unreachable, ...unreachable],
    ));
    return rows.map((row) => ({
      id: String(row['id']),
      name: String(row['name']),
      trashedName: row['trashed_name'] as string | null,
      configured: Number(row['replication_factor']),
      current: Number(row['available']),
    })).filter(({ configured, current }) => current < configured)
      .map((repository) => ({ ...repository, risk: riskOf(repository.configured, repository.current) }));
  }
}

/** @param current fewer than `configured` */
export function riskOf(configured: number, current: number): Risk {
  if (current === 0) return 'unavailable';
  return current < quorumOf(configured) ? 'no_quorum' : 'under_replicated';
}
