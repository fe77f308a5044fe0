import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { NodeId } from '@trivet/proto/messages.ts';
import type { ControllerContext } from '../context.ts';
import type { NodeView } from '../nodes/states.ts';
import type { NodeAnswer, NodeList } from '../rest/node.ts';
import { REPLICA_STATES } from '../rest/parts.ts';

const Params = Type.Object({ node: NodeId });
const RemoveBody = Type.Union([Type.Null(), Type.Object({
  /** It is dead, and its disk with it. */
  force: Type.Optional(Type.Boolean()),
}, { additionalProperties: false })]);

const WISHES = { activate: 'active', drain: 'draining', quiesce: 'quiesced' } as const;

/** REST: nodes, and what operators want of them. */
export function registerNodeStates(plain: FastifyInstance, context: ControllerContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const describe = (view: NodeView) => describeNode(view, (skewMs) => context.clocks.isWrong(skewMs));

  app.get('/api/v1/nodes', async (): Promise<NodeList> => ({ items: (await context.nodeStates.list()).map(describe) }));

  app.get('/api/v1/nodes/:node', { schema: { params: Params } }, async (request) => describe(await context.nodeStates.get(request.params.node)));

  for (const [action, state] of Object.entries(WISHES)) {
    app.post(`/api/v1/nodes/:node/${action}`, { schema: { params: Params } }, async (request) => (
      describe(await context.nodeStates.change(request.params.node, state))));
  }

  app.post('/api/v1/nodes/:node/remove', { schema: { params: Params, body: RemoveBody } }, async (request) => (
    describe(await context.nodeStates.remove(request.params.node, request.body?.force ?? false))));
}

function describeNode({ row, known, state, replicas, arriving, removals }: NodeView, isWrong: (skewMs: number) => boolean): NodeAnswer {
  const { status } = known ?? {};
  const clockSkewMs = known?.clockSkewMs ?? row.clockSkewMs;
  return {
    id: row.id, url: row.url, state, wish: row.state, trouble: known?.trouble ?? null,
    zone: row.zone, version: row.version, gitVersion: row.gitVersion,
    joinedAt: row.joinedAt?.toISOString() ?? null,
    stateChangedAt: row.stateChangedAt?.toISOString() ?? null,
    heardAt: row.heardAt?.toISOString() ?? null,
    diskTotalBytes: status?.diskTotalBytes ?? row.diskTotalBytes,
    diskFreeBytes: status?.diskFreeBytes ?? row.diskFreeBytes,
    loadAverage: status?.loadAverage ?? row.loadAverage,
    clockSkewMs,
    clockWrong: clockSkewMs !== null && isWrong(clockSkewMs),
    replicas: Object.fromEntries(REPLICA_STATES.map((each) => [each, replicas[each] ?? 0])) as NodeAnswer['replicas'],
    arriving,
    removals,
  };
}
