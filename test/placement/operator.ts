import { PATIENCE_MS, until, type Cluster } from '../cluster.ts';

export interface NodeView { id: string; state: string; wish: string; zone: string; replicas: Record<string, number>; removals: number; clockWrong: boolean }

/** Placement that acts at once, and takes a node for away after some seconds. */
export const EAGER = { TRIVET_NODE_AWAY_MS: '4000', TRIVET_PLACEMENT_MS: '2000' };

export async function showNode(cluster: Cluster, node: string): Promise<NodeView> {
  return (await askNode(cluster, 'GET', node)).json as NodeView;
}

/** What an operator wants of a node. */
export async function wish(cluster: Cluster, node: string, action: 'activate' | 'drain' | 'quiesce' | 'remove', body?: object) {
  return askNode(cluster, 'POST', `${node}/${action}`, body);
}

export async function untilNode(cluster: Cluster, node: string, suits: (view: NodeView) => boolean): Promise<NodeView> {
  let view = await showNode(cluster, node);
  await until(async () => suits(view = await showNode(cluster, node)), 2 * PATIENCE_MS, () => `it stays so: ${JSON.stringify(view)}`);
  return view;
}

/** Waits until a repository has current replicas on exactly these nodes. */
export async function untilOn(cluster: Cluster, repository: string, suits: (nodes: string[]) => boolean): Promise<string[]> {
  let text = '';
  let nodes: string[] = [];
  await until(async () => {
    const { replicas } = await cluster.show(repository);
    text = JSON.stringify(replicas.map(({ node, state }) => [node, state]));
    nodes = replicas.map(({ node }) => node);
    return replicas.every(({ state }) => state === 'current') && suits(nodes);
  }, 2 * PATIENCE_MS, () => `its replicas stay so: ${text}`);
  return nodes;
}

async function askNode(cluster: Cluster, method: string, path: string, body?: object): Promise<{ status: number; json: unknown }> {
  const response = await fetch(`${cluster.url}/api/v1/nodes/${path}`, body === undefined ? { method } : {
    method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}
