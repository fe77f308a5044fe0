import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether this machine has a program; Debian keeps servers in directories that aren't on everybody's PATH. */
export function hasProgram(name: string): boolean {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((directory) => existsSync(join(directory, name)));
}
