import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the packs of transactions that aren't prepared yet wait, one directory for each transaction. */
export function quarantineRoot(gitDir: string): string {
  return join(gitDir, 'quarantine');
}

export function quarantineDirectory(gitDir: string, transaction: string): string {
  return join(quarantineRoot(gitDir), transaction);
}

/** Where packs that a repair brings are kept until they are whole and checked; what a broken one left is gone on with. */
export function incomingDirectory(gitDir: string): string {
  return join(gitDir, 'incoming');
}

/** Where a repair puts what it replaces in a store, one directory for each job. */
export function damagedRoot(gitDir: string): string {
  return join(gitDir, 'damaged');
}

/** Where maintenance makes packs before they get their place, and notes which ones may go. */
export function maintenanceDirectory(gitDir: string): string {
  return join(gitDir, 'maintenance');
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
