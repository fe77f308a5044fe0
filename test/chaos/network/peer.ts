import { readdir, readFile, readlink } from 'node:fs/promises';

/**
 * Who has connected to us, when several parts share one address: the socket's inode from /proc/net/tcp, then the process
 * that has it open, a part itself or a program that it started.
 * @param port the peer's own port, on the loopback interface like ours
 * @returns the name of the part; undefined when it is none of them, or gone already
 */
export async function partBehind(port: number, localPort: number, parts: ReadonlyMap<string, number>): Promise<string | undefined> {
  const inode = await inodeOf(port, localPort);
  if (inode === undefined) return undefined;
  const link = `socket:[${inode}]`;
  for (const [name, pid] of parts) if (await hasOpen(pid, link)) return name;
  for (const [name, pid] of parts) {
    for (const child of await descendants(pid)) if (await hasOpen(child, link)) return name;
  }
  return undefined;
}

/** All processes that a process started and that still run, and theirs. */
export async function descendants(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const task of await readdir(`/proc/${pid}/task`).catch(() => [] as string[])) {
    const children = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter((text) => text !== '').map(Number)) found.push(child, ...await descendants(child));
  }
  return found;
}

/** Linux, proc(5): address and port in hexadecimal, the address in the machine's byte order; the tenth field is the inode. */
async function inodeOf(port: number, localPort: number): Promise<string | undefined> {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, '0');
  const wanted = `${hex(port)} 0100007F:${hex(localPort)}`;
  for (const line of (await readFile('/proc/net/tcp', 'utf8')).split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (`${fields[1]?.split(':')[1]} ${fields[2]}` === wanted && fields[9] !== '0') return fields[9];
  }
  return undefined;
}

async function hasOpen(pid: number, link: string): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [] as string[]);
  for (const descriptor of descriptors) {
    if (await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '') === link) return true;
  }
  return false;
}
