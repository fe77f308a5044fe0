import { RefTable } from '../../replica/refs/ref-table.ts';
import { ReplicaOnDisk } from './disk/node-disk.ts';
import type { Simulation } from './simulation.ts';

/** What HEAD of every repository points at in the beginning. */
export const HEAD = 'refs/heads/main';

/** What is there when a run begins: repositories at generation 0, on all nodes. */
export function found({ nodes, repositories, store }: Simulation): void {
  const { digest } = new RefTable(HEAD, new Map());
  const now = new Date();
  for (const name of repositories) {
    store.run(
      `INSERT INTO repositories (id, name, object_format, default_branch, replication_factor, generation, refs_digest,
         deny_non_fast_forwards, deny_deletes, created_at) VALUES (?, ?, 'sha1', ?, ?, 0, ?, 0, 0, ?)`,
      [name, name, HEAD, nodes.length, digest, now],
    );
  }
  for (const node of nodes) {
    store.run("INSERT INTO nodes (id, url, boot, state, seen_at) VALUES (?, ?, '0', 'active', ?)", [node.name, node.name, now]);
    for (const name of repositories) {
      node.disk.replicas.set(name, new ReplicaOnDisk({ repository: name, objectFormat: 'sha1', generation: 0, digest }, HEAD));
      store.run(
        "INSERT INTO replicas (repository_id, node_id, state, generation, digest, changed_at) VALUES (?, ?, 'current', 0, ?, ?)",
        [name, node.name, digest, now],
      );
    }
  }
}
