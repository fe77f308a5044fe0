import type { FastifyInstance } from 'fastify';
import type { ControllerContext } from '../context.ts';
import { freeShare } from '../nodes/free-share.ts';

/** REST: nodes, as SQL lists them and as this controller finds them. */
export function registerNodes(app: FastifyInstance, context: ControllerContext): void {
  app.get('/api/nodes', async () => {
    const rows = await context.nodeRows.list();
    return rows.map((row) => {
      const known = context.nodes.get(row.id);
      const disk = known?.status;
      return {
        id: row.id,
        url: row.url,
        state: row.state !== 'active' ? row.state : known?.healthy ? 'active' : 'unreachable',
        trouble: known?.trouble ?? null,
        seenAt: row.seenAt.toISOString(),
        loadAverage: disk?.loadAverage ?? null,
        diskFreeBytes: disk?.diskFreeBytes ?? null,
        diskTotalBytes: disk?.diskTotalBytes ?? null,
        // What gitmesh's clients read.
        timestamp: row.seenAt.getTime(),
        diskUsage: disk === undefined ? 0 : 1 - freeShare(disk),
      };
    });
  });
}
