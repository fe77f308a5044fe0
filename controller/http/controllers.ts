import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { describeControllers } from '../presence.ts';
import { ControllerPage } from '../rest/controller.ts';
import type { ControllerRecord } from '../store/controllers.ts';

/** What this route needs of the controller. */
export interface ControllersPart {
  controllers: { list(): Promise<ControllerRecord[]> };
}

/** REST: which controllers there are, and whether they were told the same. */
export function registerControllers(plain: FastifyInstance, { controllers }: ControllersPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  app.get('/api/v1/controllers', { schema: { response: { 200: ControllerPage } } }, async () => ({
    items: describeControllers(await controllers.list()).map(({ id, version, process, alive, startedAt, seenAt, differences }) => ({
      name: id, version, process, running: alive, startedAt: startedAt.toISOString(), seenAt: seenAt.toISOString(), differences,
    })),
    next: null,
  }));
}
