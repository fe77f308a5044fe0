import type { ImportAnswer } from '../rest/import.ts';
import type { RepositoryAnswer } from '../rest/repository.ts';
import { formatAge, formatBytes, formatCount, formatTime, formatUntil } from './terminal/format.ts';
import type { Cell, Column } from './terminal/table.ts';

/** Where a repository is found under REST. */
export function repositoryPath(name: string): string {
  return `/api/v1/repositories/${name.split('/').map(encodeURIComponent).join('/')}`;
}

/** `3`, `3 of 3`, or `2 of 3, to be 5`. */
export function replicasText({ replicas, replicationFactor, intendedFactor }: RepositoryAnswer): Cell {
  const current = replicas.filter((replica) => replica.state === 'current').length;
  const text = `${current} of ${replicationFactor}${intendedFactor === null ? '' : `, to be ${intendedFactor}`}`;
  return { text, tone: current < replicationFactor ? 'bad' : 'plain' };
}

export const REPOSITORY_COLUMNS: Column<RepositoryAnswer>[] = [
  { title: 'REPOSITORY', cell: ({ name }) => name },
  { title: 'STATE', cell: ({ state }) => ({ text: state, tone: state === 'ready' ? 'plain' : 'warn' }) },
  { title: 'BRANCH', cell: ({ defaultBranch }) => defaultBranch },
  { title: 'GENERATION', cell: ({ generation }) => String(generation), right: true },
  { title: 'CURRENT', cell: replicasText, right: true },
];

export function trashColumns(nowMs: number): Column<RepositoryAnswer>[] {
  return [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'REPOSITORY', cell: ({ name }) => name },
    { title: 'DELETED', cell: ({ trashedAt }) => (trashedAt === null ? '' : `${formatAge(trashedAt, nowMs)} ago`) },
    { title: 'PURGED', cell: ({ expiresAt }) => (expiresAt === null ? '' : formatUntil(expiresAt, nowMs)) },
  ];
}

/** A repository, a line for each thing that is known of it. */
export function repositoryEntries(repository: RepositoryAnswer): [string, Cell][] {
  const policy = [...(repository.denyNonFastForwards ? ['no forced pushes to branches'] : []), ...(repository.denyDeletes ? ['no deletions'] : [])];
  return [
    ['repository', repository.name],
    ['id', repository.id],
    ['state', repository.state],
    ['default branch', repository.defaultBranch],
    ['object format', repository.objectFormat],
    ['policy', policy.join(', ') || 'everything is allowed'],
    ['generation', String(repository.generation)],
    ['refs', repository.digest],
    ['replicas', replicasText(repository)],
    ['created', formatTime(repository.createdAt)],
  ];
}

/** What an import does, or what became of it. */
export function importLine({ repository, state, phase, node, progress, lastError }: ImportAnswer): string {
  const { objects, totalObjects, bytes } = progress;
  const of = totalObjects === null ? '' : ` of ${formatCount(totalObjects)}`;
  const brought = objects === 0 && bytes === 0 ? '' : `, ${formatCount(objects)}${of} objects, ${formatBytes(bytes)}`;
  switch (state) {
    case 'waiting': return `${repository}: waiting${lastError === null ? '' : ` (${lastError})`}`;
    case 'running': return `${repository}: ${phase ?? 'beginning'}${node === null ? '' : ` on ${node}`}${brought}`;
    case 'done': return `${repository}: imported${brought}.`;
    case 'failed': return `${repository}: failed, and is gone: ${lastError}`;
    case 'cancelled': return `${repository}: cancelled, and is gone.`;
  }
}
