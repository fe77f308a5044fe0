import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { Id } from '@trivet/proto/messages.ts';
import { TRANSACTION_OUTCOMES, TransactionAnswer, TransactionPage } from '../rest/transaction.ts';
import type { TransactionFilter, TransactionView } from '../transaction/transactions.ts';
import { filterRepository, type RepositoryNames } from './named-repository.ts';
import { PAGE_QUERY, pageQuery, readPage } from './page-query.ts';

const closed = { additionalProperties: false };
const PATH = '/api/v1/transactions';

const ListQuery = Type.Object({
  repository: Type.Optional(Type.String({ maxLength: 300 })),
  outcome: Type.Optional(Type.Enum([...TRANSACTION_OUTCOMES])),
  ...PAGE_QUERY,
}, closed);

/** What these routes need of the controller. */
export interface TransactionsPart {
  repositories: RepositoryNames;
  transactions: {
    page(filter: TransactionFilter): Promise<TransactionView[]>;
    get(id: string): Promise<TransactionView | undefined>;
    settle(id: string): Promise<TransactionView>;
  };
}

/** REST: transactions, the newest first. */
export function registerTransactions(plain: FastifyInstance, { repositories, transactions }: TransactionsPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.get(PATH, { schema: { querystring: ListQuery, response: { 200: TransactionPage } } }, async (request) => {
    const { outcome } = request.query;
    const query = pageQuery(request.query);
    const repository = await filterRepository(repositories, request.query.repository);
    return readPage(query, (page) => transactions.page({ ...page, repository, outcome }), describe);
  });

  const one = { schema: { params: Type.Object({ id: Id }, closed), response: { 200: TransactionAnswer } } };
  app.get(`${PATH}/:id`, one, async (request) => {
    const transaction = await transactions.get(request.params.id);
    if (transaction === undefined) throw new TrivetError('transaction_not_found', { transaction: request.params.id });
    return describe(transaction);
  });
  app.post(`${PATH}/:id/settle`, one, async (request) => describe(await transactions.settle(request.params.id)));
}

function describe({ decidedAt, ...transaction }: TransactionView): TransactionAnswer {
  return { ...transaction, decidedAt: decidedAt?.toISOString() ?? null };
}
