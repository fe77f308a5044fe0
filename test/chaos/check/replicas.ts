import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type RepositoryView } from '../../cluster.ts';
import { runGit } from '../../run-git.ts';
import { fsck } from '../../fsck.ts';
import { LOG_REFS } from '../clients/refs.ts';
import type { Deployment } from '../deployment/deployment.ts';
import type { History } from '../history/history.ts';
import type { Violation } from './violation.ts';

/** What a replica's disk says, as stock git reads it. */
interface OnDisk { head: string; refs: Record<string, string> }

/**
 * Looks at every replica of every repository with stock git, once everything has converged: equal refs, sound objects. What
 * is there goes into the history as one more read. Every acknowledged commit of a log ref is in its history.
 */
export async function judgeReplicas(deployment: Deployment, history: History, views: readonly RepositoryView[]): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const view of views) {
    const found = new Map<string, OnDisk>();
    for (const { node } of view.replicas) {
      const gitDir = deployment.replicaDirectory(node, view.id);
      const damage = await fsck(gitDir);
      if (damage !== undefined) violations.push({ promise: 'every replica passes git fsck', text: `${node}: ${damage}`, repository: view.name });
      const begin = history.now();
      const onDisk = await readReplica(gitDir);
      found.set(node, onDisk);
      history.add({ type: 'read', how: 'replica', client: 'the check', repository: view.name, controller: node, begin, end: history.now(), ok: true, refs: onDisk.refs });
    }
    const texts = new Map([...found].map(([node, onDisk]) => [node, JSON.stringify([onDisk.head, Object.entries(onDisk.refs).sort()])]));
    if (new Set(texts.values()).size > 1) {
      violations.push({ promise: 'all replicas have equal refs', text: [...texts].map(([node, text]) => `${node}: ${text}`).join('\n'), repository: view.name });
    }
    const any = view.replicas[0]!.node;
    violations.push(...await lostFromLogs(deployment.replicaDirectory(any, view.id), history, view.name, found.get(any)!.refs));
  }
  return [...violations, ...await unknownDirectories(deployment, views)];
}

async function readReplica(gitDir: string): Promise<OnDisk> {
  const refs = await runGit(gitDir, ['for-each-ref', '--format=%(refname) %(objectname)']);
  const head = await runGit(gitDir, ['symbolic-ref', 'HEAD']);
  return { head: head.stdout.trim(), refs: Object.fromEntries(refs.stdout.split('\n').filter((line) => line !== '').map((line) => line.split(' ') as [string, string])) };
}

async function lostFromLogs(gitDir: string, history: History, repository: string, refs: Record<string, string>): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const ref of LOG_REFS) {
    const acknowledged = history.pushes.filter((push) => push.repository === repository)
      .flatMap((push) => push.updates.filter((update) => update.ref === ref && update.outcome === 'ok').map((update) => ({ commit: update.new!, push })));
    if (acknowledged.length === 0) continue;
    const tip = refs[ref];
    const ancestors = tip === undefined ? new Set<string>() : new Set((await runGit(gitDir, ['rev-list', tip])).stdout.split('\n'));
    for (const { commit, push } of acknowledged) {
      if (!ancestors.has(commit)) violations.push({ promise: 'every acknowledged push is present', text: `${commit} of ${push.client} isn't in the history of ${tip ?? 'nothing'}`, repository, ref, begin: push.begin, end: push.end });
    }
  }
  return violations;
}

/** Directories of repositories that SQL doesn't know, such as half of one whose creation failed. */
async function unknownDirectories(deployment: Deployment, views: readonly RepositoryView[]): Promise<Violation[]> {
  const known = new Set(views.map((view) => `${view.id}.git`));
  const violations: Violation[] = [];
  for (const node of deployment.nodes) {
    const root = join(deployment.disk(node.name).path, 'repositories');
    for (const folder of await readdir(root).catch(() => [] as string[])) {
      const names = await readdir(join(root, folder));
      for (const name of names) if (!known.has(name)) violations.push({ promise: 'nothing is left behind', text: `${node.name}: ${join(folder, name)} belongs to no repository` });
    }
  }
  return violations;
}
