import type { Cluster } from '../cluster.ts';

// What an operator asks a controller, over REST.

export interface VerificationView { node: string; state: string; result: string; detail: string }
export interface FindingView {
  id: string; node: string; repository: string | null; repositoryId: string; kind: string; detail: string; resolvedAt: string | null;
}
export interface JobView {
  id: string; repository: string; node: string; reason: string; state: string; way: string | null; attempt: number; lastError: string | null; source: string | null;
}
export interface AtRiskView {
  total: number;
  byKind: Record<string, number>;
  items: { repository: string; kind: string; current: number; since: string; jobs: JobView[]; replicas: { node: string; reachable: boolean }[] }[];
}

/** Verifies a repository now; one result for each replica, by node. */
export async function verify(cluster: Cluster, repository: string, full: boolean): Promise<VerificationView[]> {
  const { replicas } = await post<{ replicas: VerificationView[] }>(cluster, '/api/v1/verifications', { repository, full });
  return replicas.sort((a, b) => (a.node < b.node ? -1 : 1));
}

/** What was found, the newest first; of one repository, or of all. */
export async function findings(cluster: Cluster, repository?: string): Promise<FindingView[]> {
  const { items } = await get<{ items: FindingView[] }>(cluster, `/api/v1/findings${repository === undefined ? '' : `?repository=${repository}`}`);
  return items;
}

export async function atRisk(cluster: Cluster): Promise<AtRiskView> {
  return get(cluster, '/api/v1/at-risk');
}

/** Jobs of a repository, the newest first. */
export async function jobs(cluster: Cluster, repository: string, state = ''): Promise<JobView[]> {
  const { items } = await get<{ items: JobView[] }>(cluster, `/api/v1/repair-jobs?repository=${repository}${state === '' ? '' : `&state=${state}`}`);
  return items;
}

export async function get<T>(cluster: Cluster, path: string): Promise<T> {
  const response = await fetch(`${cluster.url}${path}`);
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  return await response.json() as T;
}

export async function post<T>(cluster: Cluster, path: string, body: object): Promise<T> {
  const response = await fetch(`${cluster.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  return await response.json() as T;
}
