import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASE, type Deployment } from '../deployment/deployment.ts';
import type { Part } from '../deployment/part.ts';
import { DAMAGE } from './damage.ts';
import type { Fault } from './schedule.ts';
import type { FaultKind } from './kinds.ts';

/** What was begun: how to end it, and what was done in words and to which repositories, where the schedule alone doesn't say it. */
export interface Begun { end(): Promise<void>; what?: string; replicas?: string[] }

const STUTTER_MS = { stopped: 200, running: 100 };

/** Begins a fault on a real cluster. */
export async function begin(deployment: Deployment, fault: Fault): Promise<Begun> {
  return HANDLERS[fault.kind](deployment, fault);
}

/** Ends whatever any fault may have left, in any order: what an operator does who wants everything to run. */
export async function healEverything(deployment: Deployment): Promise<void> {
  deployment.network.healAll();
  for (const disk of deployment.disks.values()) {
    await disk.thaw();
    await disk.free();
  }
  for (const part of deployment.parts) {
    part.continue();
    part.start();
  }
  await Promise.all(deployment.nodes.map((node) => restartIfDiskFailed(node)));
}

/** Copies a node's whole directory as it is after a sudden end. The last copy stays. */
export async function takeBackup(deployment: Deployment, name: string): Promise<void> {
  const node = deployment.part(name);
  await node.kill();
  const backup = backupOf(deployment, name);
  await rm(backup, { recursive: true, force: true, maxRetries: 3 });
  await mkdir(backup, { recursive: true });
  await deployment.copyDisk(name, backup);
  node.start();
}

type Handler = (deployment: Deployment, fault: Fault) => Promise<Begun>;

const kill: Handler = async (deployment, { targets }) => {
  const parts = targets.map((name) => deployment.part(name));
  await Promise.all(parts.map((part) => part.kill()));
  return { end: async () => { for (const part of parts) part.start(); } };
};

const stop: Handler = async (deployment, { targets }) => {
  const parts = targets.map((name) => deployment.part(name));
  for (const part of parts) part.stop();
  return { end: async () => { for (const part of parts) part.continue(); } };
};

const cut: Handler = async (deployment, fault) => {
  const links = linksOf(deployment, fault);
  for (const link of links) link.cut(fault.cut!);
  return { end: async () => { for (const link of links) link.heal(); } };
};

const slow: Handler = async (deployment, fault) => {
  const links = linksOf(deployment, fault);
  for (const link of links) link.slow(fault.delayMs!);
  return { end: async () => { for (const link of links) link.heal(); } };
};

/** The disk is gone in the middle of whatever is being written, and the process with it; then checked, and mounted again. */
const losePower: Handler = async (deployment, { targets }) => {
  await Promise.all(targets.map(async (name) => {
    await deployment.disk(name).fail();
    await deployment.part(name).kill();
  }));
  return {
    end: async () => {
      await Promise.all(targets.map(async (name) => {
        await deployment.disk(name).mend();
        deployment.part(name).start();
      }));
    },
  };
};

const damage = (kind: keyof typeof DAMAGE): Handler => async (deployment, { targets, choice }) => {
  const done: string[] = [];
  const replicas: string[] = [];
  for (const name of targets) {
    const id = await pickReplica(deployment, name, choice);
    const what = id === undefined ? undefined : await DAMAGE[kind](deployment.replicaDirectory(name, id), choice);
    if (what !== undefined) replicas.push(id!);
    done.push(what ?? 'nothing there to damage');
  }
  return { end: async () => {}, what: done.join('; '), replicas };
};

/** Something done to a node's disk while the node is down for as long as it takes. */
const replace = (work: (deployment: Deployment, name: string, choice: number) => Promise<string>): Handler => async (deployment, { targets, choice }) => {
  const done = await Promise.all(targets.map(async (name) => {
    await deployment.part(name).kill();
    const what = await work(deployment, name, choice);
    deployment.part(name).start();
    return what;
  }));
  return { end: async () => {}, what: done.join('; ') };
};

const HANDLERS: Record<FaultKind, Handler> = {
  'kill-node': kill,
  'kill-controller': kill,
  'kill-everything': kill,
  'stop-node': stop,
  'stop-controller': stop,
  'stop-database': async ({ database }) => {
    process.kill(database.pid, 'SIGSTOP');
    return { end: async () => { process.kill(database.pid, 'SIGCONT'); } };
  },
  'kill-database': async ({ database }) => {
    await database.kill();
    return { end: () => database.startAgain() };
  },
  'stutter': async (deployment, { targets }) => {
    const part = deployment.part(targets[0]!);
    let over = false;
    const loop = (async () => {
      while (!over) {
        part.stop();
        await sleep(STUTTER_MS.stopped);
        part.continue();
        await sleep(STUTTER_MS.running);
      }
    })();
    return { end: async () => { over = true; await loop; } };
  },
  'cut': cut,
  'isolate': cut,
  'split': cut,
  'break-connections': async (deployment, fault) => {
    for (const link of linksOf(deployment, fault)) link.breakConnections();
    return { end: async () => {} };
  },
  'slow-link': slow,
  'slow-node': slow,
  'fill-disk': async (deployment, { targets }) => {
    const [name] = targets as [string];
    await deployment.disk(name).fill();
    return {
      end: async () => {
        await deployment.disk(name).free();
        await restartIfDiskFailed(deployment.part(name));
      },
    };
  },
  'fail-disk': async (deployment, { targets }) => {
    const [name] = targets as [string];
    await deployment.disk(name).fail();
    return {
      end: async () => {
        await deployment.part(name).kill();
        await deployment.disk(name).mend();
        deployment.part(name).start();
      },
    };
  },
  'freeze-disk': async (deployment, { targets }) => {
    const disk = deployment.disk(targets[0]!);
    await disk.freeze();
    return { end: () => disk.thaw() };
  },
  'power-loss': losePower,
  'power-loss-everywhere': losePower,
  'take-backup': async (deployment, { targets }) => {
    for (const name of targets) await takeBackup(deployment, name);
    return { end: async () => {} };
  },
  'restore-backup': replace(async (deployment, name) => {
    await wipe(deployment.disk(name).path);
    await cp(backupOf(deployment, name), deployment.disk(name).path, { recursive: true, preserveTimestamps: true });
    return `${name} has an old directory`;
  }),
  'lose-disk': replace(async (deployment, name) => {
    await wipe(deployment.disk(name).path);
    return `${name} has an empty directory`;
  }),
  'lose-replica': replace(async (deployment, name, choice) => {
    const id = await pickReplica(deployment, name, choice);
    if (id !== undefined) await rm(deployment.replicaDirectory(name, id), { recursive: true, force: true, maxRetries: 3 });
    return `${name} has lost its replica of ${id ?? 'nothing'}`;
  }),
  'swap-disks': async (deployment, { targets }) => {
    const swap = async () => {
      await Promise.all(targets.map((name) => deployment.part(name).kill()));
      await deployment.disk(targets[0]!).swap(deployment.disk(targets[1]!));
      for (const name of targets) deployment.part(name).start();
    };
    await swap();
    return { end: swap };
  },
  'flip-bit': damage('flip-bit'),
  'truncate-packed-refs': damage('truncate-packed-refs'),
  'edit-ref': damage('edit-ref'),
  'delete-index': damage('delete-index'),
  'delete-replica': damage('delete-replica'),
};

/** A node that could not write its journal promises nothing until it is started again; that is its operator's to do. */
async function restartIfDiskFailed(node: Part): Promise<void> {
  if (node.pid === undefined) return;
  const answer = await fetch(`${node.url}/readyz`, { signal: AbortSignal.timeout(5_000) }).then((response) => response.text(), () => '');
  if (!answer.includes('disk failure')) return;
  await node.end();
  node.start();
}

function linksOf(deployment: Deployment, { targets }: Fault) {
  return targets.map((target) => deployment.network.link(...target.split('→') as [string, string]));
}

async function pickReplica(deployment: Deployment, node: string, choice: number): Promise<string | undefined> {
  const root = join(deployment.disk(node).path, 'repositories');
  const ids = [];
  for (const folder of (await readdir(root).catch(() => [] as string[])).sort()) {
    for (const name of (await readdir(join(root, folder)).catch(() => [] as string[])).sort()) {
      if (/^[0-9a-f]+\.git$/.test(name)) ids.push(name.slice(0, -'.git'.length));
    }
  }
  return ids.length === 0 ? undefined : ids[choice % ids.length];
}

async function wipe(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (name !== 'lost+found') await rm(join(path, name), { recursive: true, force: true, maxRetries: 3 });
  }
}

function backupOf(deployment: Deployment, node: string): string {
  return join(deployment.directory, 'backups', node);
}

/** Whom a fault that strikes a process or a disk concerns; the database's stays as it is called. */
export function describe(fault: Fault): string {
  const how = [fault.cut, fault.delayMs === undefined ? undefined : `${fault.delayMs} ms`].filter((text) => text !== undefined).join(' ');
  const targets = fault.targets.length > 4 ? `${fault.targets.slice(0, 3).join(', ')} and ${fault.targets.length - 3} more` : fault.targets.join(', ');
  return `${fault.kind} ${targets === DATABASE ? 'of the database' : targets}${how === '' ? '' : ` (${how})`}`;
}
