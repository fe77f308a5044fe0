import { timingSafeEqual } from 'node:crypto';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { HandshakeRequest, MaintenanceRequest, ReportRequest, SettleRequest, type MaintenanceAnswer, type SettleAnswer } from '@trivet/proto/messages.ts';
import { expectProtocol, PROTOCOL_HEADER } from '@trivet/proto/protocol-version.ts';
import type { ControllerContext } from '../context.ts';

/** What nodes ask a controller: the restart handshake, the decision on a promise, whether it may maintain a replica. Wants the cluster's token. */
export function registerInternal(root: FastifyInstance, context: ControllerContext): void {
  const expected = Buffer.from(`Bearer ${context.config.token}`);
  void root.register(async (scope) => {
    scope.addHook('onRequest', async (request) => {
      const given = Buffer.from(request.headers.authorization ?? '');
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new TrivetError('unauthorized');
      expectProtocol(request.headers[PROTOCOL_HEADER]);
    });
    const app = scope.withTypeProvider<TypeBoxTypeProvider>();

    app.post('/internal/handshake', { schema: { body: HandshakeRequest } }, async (request) => {
      const { node, url, boot, directory } = request.body;
      if (directory.node !== node) {
        await context.admission.wrongDirectory(node, directory.node);
        throw new TrivetError('wrong_directory', { node, directoryOf: directory.node });
      }
      await context.nodeRows.register({ id: node, url, boot });
      await context.nodes.refresh();
      return { cluster: context.cluster };
    });

    // 100,000 replicas of 120 bytes each.
    app.post('/internal/report', { schema: { body: ReportRequest }, bodyLimit: 64 * 1024 * 1024 }, async (request) => {
      const { node, boot, replicas } = request.body;
      await context.admission.compare(node, boot, replicas);
      await context.nodes.refresh();
      context.nodes.trust(node);
      context.lifelines.keep(context.nodes.all);
      // What waited for this node may be tried at once, and so may what its disk has changed for.
      await context.jobs.wake({ node });
      context.reconcile.poke();
      return {};
    });

    app.post('/internal/maintenance', { schema: { body: MaintenanceRequest } },
      async (request): Promise<MaintenanceAnswer> => context.maintenancePermission.answer(request.body));

    app.post('/internal/settle', { schema: { body: SettleRequest } }, async (request): Promise<SettleAnswer> => {
      const { node, repository, batch, transactions } = request.body;
      const settled = await context.decisions.settle({ repository, batch, transactions });
      context.events.settled(repository, batch, node, settled.outcome);
      return settled;
    });
  });
}
