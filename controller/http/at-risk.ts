import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { AtRiskAnswer, RISKS, type AtRiskItem } from '../rest/at-risk.ts';
import type { AtRiskAnswer as Found } from '../repair/at-risk.ts';
import type { Risk } from '../store/at-risk.ts';
import { limitOf, PAGE_QUERY } from './page-query.ts';
import { describeJob } from './repair-jobs.ts';

/** `after` is the last name of the page before. */
const ListQuery = Type.Object({ kind: Type.Optional(Type.Enum([...RISKS])), ...PAGE_QUERY }, { additionalProperties: false });

/** What this route needs of the controller. */
export interface AtRiskPart {
  atRisk: { list(filter: { kind?: Risk; after?: string; limit: number }): Promise<Found> };
}

/** REST: which repositories have fewer current replicas than they should, since when, and what is being done. By name. */
export function registerAtRisk(plain: FastifyInstance, { atRisk }: AtRiskPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.get('/api/v1/at-risk', { schema: { querystring: ListQuery, response: { 200: AtRiskAnswer } } }, async (request) => {
    const { kind, after } = request.query;
    const { total, byKind, items } = await atRisk.list({ kind, after, limit: limitOf(request.query) });
    return { total, byKind, items: items.map(describe) };
  });
}

function describe({ since, replicas, jobs, ...item }: Found['items'][number]): AtRiskItem {
  return {
    ...item,
    since: since.toISOString(),
    replicas: replicas.map((replica) => ({ ...replica, changedAt: replica.changedAt.toISOString() })),
    jobs: jobs.map(describeJob),
  };
}
