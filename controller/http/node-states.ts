import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { NodeId } from '@trivet/proto/messages.ts';
import type { ControllerContext } from '../context.ts';
import type { NodeView } from '../nodes/states.ts';
import type { NodeList } from '../rest/node.ts';
import { describeNode } from './describe-node.ts';

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
