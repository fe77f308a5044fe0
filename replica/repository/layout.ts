import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the packs of transactions that aren't prepared yet wait, one directory for each transaction. */
export function quarantineRoot(gitDir: string): string {
  return join(gitDir, 'quarantine');
}

export function quarantineDirectory(gitDir: string, transaction: string): string {
  return join(quarantineRoot(gitDir), transaction);
}

/** fsync of a file or a directory. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
