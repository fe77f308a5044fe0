import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Deployment } from '../deployment/deployment.ts';
import type { Part } from '../deployment/part.ts';
import { descendants } from '../network/peer.ts';
import type { Violation } from './violation.ts';

/** Names of files that only something unfinished leaves. */
const UNFINISHED = /\.lock$|\/quarantine\/.|\/tmp_|\.creating-|\.removed-|\.replaced-|\.new$|\.keep$/;
/**
 * Descriptors a part may have beyond what it had after its start, once it is quiet: kept-alive connections to every other
 * part (16 each way at most in this load) and to the database (a pool of 10, 8 for turns), and three for each git it keeps.
 */
const CONNECTIONS = 100;
const FOR_EACH_GIT = 3;

/** Open descriptors of a process by kind: `socket`, `pipe`, `anon_inode`, or the path of a file. */
export async function descriptorsOf(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => [] as string[]);
  return Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
}

/** What is left behind at this moment; what is still being cleaned up counts too, so ask again until nothing is left or time is up. */
export async function leftBehind(deployment: Deployment, baseline: ReadonlyMap<string, number>): Promise<Violation[]> {
  const found: string[] = [];
  for (const node of deployment.nodes) {
    const { promises } = await deployment.status(node);
    if (promises !== 0) found.push(`${node.name}: ${promises} promises`);
    const { path } = deployment.disk(node.name);
    for (const entry of await readdir(join(path, 'repositories'), { recursive: true })) if (UNFINISHED.test(entry)) found.push(`${node.name}: ${entry}`);
  }
  for (const part of deployment.parts) found.push(...await processesOf(part), ...await openFilesOf(part, baseline));
  found.push(...await strays(deployment));
  return found.map((text) => ({ promise: 'nothing is left behind', text }));
}

/** A node keeps some `git cat-file` for a while, and a controller nothing. */
async function processesOf(part: Part): Promise<string[]> {
  const commands = await Promise.all((await descendants(part.pid!)).map((pid) => commandOf(pid)));
  return commands.filter((command) => command !== '' && !command.includes('cat-file')).map((command) => `${part.name}: the process ${command}`);
}

async function openFilesOf(part: Part, baseline: ReadonlyMap<string, number>): Promise<string[]> {
  const found: string[] = [];
  const open = await descriptorsOf(part.pid!);
  for (const path of open) if (path.endsWith(' (deleted)') || (path.includes('/repositories/') && UNFINISHED.test(path))) found.push(`${part.name}: has ${path} open`);
  const allowed = (baseline.get(part.name) ?? 0) + CONNECTIONS + FOR_EACH_GIT * (await descendants(part.pid!)).length;
  if (open.length > allowed) found.push(`${part.name}: has ${open.length} descriptors open, more than ${allowed}`);
  return found;
}

/** Processes that work in this deployment and descend from none of its parts: children that outlived one. */
async function strays(deployment: Deployment): Promise<string[]> {
  const ours = new Set([process.pid, deployment.database.pid]);
  for (const part of deployment.parts) for (const pid of [part.pid!, ...await descendants(part.pid!)]) ours.add(pid);
  const found: string[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || ours.has(pid)) continue;
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const command = await commandOf(pid);
    const inside = deployment.nodes.some((node) => cwd.startsWith(deployment.disk(node.name).path) || command.includes(deployment.disk(node.name).path));
    if (inside) found.push(`the process ${pid} (${command}) belongs to no part`);
  }
  return found;
}

async function commandOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
}
