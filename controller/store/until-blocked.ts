import { setImmediate as tick } from 'node:timers/promises';
import type { Database } from './database.ts';

/** Waits until `blocked` waits for a lock in the database, or has ended, which a test should then complain about. */
export async function untilBlocked(db: Database, blocked: Promise<unknown>): Promise<void> {
  // SQLite's one connection is taken, so there is nothing that could have run already.
  if (db.dialect === 'sqlite') return;
  let ended = false;
  const end = () => {
    ended = true;
  };
  blocked.then(end, end);
  while (!ended) {
    // Not information_schema.innodb_trx, which shows an old state for as long as someone keeps reading it.
    const [row] = await db.sql.all("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    if (Number(row?.['Value']) > 0) return;
    await tick();
  }
}
