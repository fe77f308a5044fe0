import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import type { OutboxEvent } from './rows.ts';

/**
 * The outbox. Decisions write events in their own SQL transaction; here they are read, and taken out once delivered.
 *
 * A sequence is drawn when its row is inserted and seen when its SQL transaction commits, so a lower one can appear
 * after a higher one. Whoever delivers must therefore start from 0 each time and `prune` what was delivered, and not
 * keep a position.
 */
export class Outbox {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** At most `limit` events whose sequence is above `sequence`, in their order. */
  async after(sequence: number, limit: number): Promise<OutboxEvent[]> {
    const rows = await attempt(() => this.#db.prisma.event.findMany({
      where: { sequence: { gt: sequence } }, orderBy: { sequence: 'asc' }, take: limit,
    }));
    return rows.map((row) => ({
      sequence: Number(row.sequence),
      repository: row.repositoryId,
      kind: row.kind,
      payload: JSON.parse(row.payload) as object,
      createdAt: row.createdAt,
    }));
  }

  /** Takes delivered events out, and tells how many were still there. */
  async prune(sequences: number[]): Promise<number> {
    const { count } = await attempt(() => this.#db.prisma.event.deleteMany({ where: { sequence: { in: sequences } } }));
    return count;
  }
}
