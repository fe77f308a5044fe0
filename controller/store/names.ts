import { TrivetError } from '@trivet/proto/errors.ts';
import type { Statements } from './sql.ts';

/** What must be unique besides a name itself, so that no two differ in case only. Names are ASCII: it is SQL's LOWER too. */
export function nameKey(name: string): string {
  return name.toLowerCase();
}

/** The name a repository has while it is in the trash: no user can give it, and no route leads there. */
export function trashName(id: string): string {
  return `.trash/${id}`;
}

/** The error for a name that a unique key refused, with the name that is there already. */
export async function nameTaken(statements: Statements, name: string, cause: unknown): Promise<TrivetError> {
  const [row] = await statements.all('SELECT name FROM repositories WHERE name_key = ? UNION SELECT name FROM repositories WHERE name = ?', [nameKey(name), name]);
  return new TrivetError('repository_exists', { name, existing: row === undefined ? name : String(row['name']) }, { cause });
}
