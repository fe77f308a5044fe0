import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { VerificationAnswer, type VerifiedReplica } from '../rest/verification.ts';
import { namedRepository } from './named-repository.ts';

const Body = Type.Object({
  repository: Type.String({ maxLength: 300 }),
  /** Also every byte of every pack, and every link between objects: minutes for a large repository. */
  full: Type.Optional(Type.Boolean()),
}, { additionalProperties: false });

/** What this route needs of the controller. */
export interface VerificationPart {
  verification: { verifyRepository(name: string, full: boolean): Promise<VerifiedReplica[]> };
}

/** REST: compares every replica of a repository with SQL, and answers when that is done. */
export function registerVerifications(plain: FastifyInstance, { verification }: VerificationPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.post('/api/v1/verifications', { schema: { body: Body, response: { 200: VerificationAnswer } } }, async (request) => {
    const repository = namedRepository(request.body.repository);
    const full = request.body.full ?? false;
    return { repository, full, replicas: await verification.verifyRepository(repository, full) };
  });
}
