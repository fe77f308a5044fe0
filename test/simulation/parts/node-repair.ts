import { TrivetError } from '@trivet/proto/errors.ts';
import type { RepairAnswer, RepairRequest } from '@trivet/proto/messages.ts';
import type { Replica } from '../../../replica/repository/replica.ts';
import type { Simulation } from '../simulation.ts';
import type { NodeLife } from './sim-node.ts';

/**
 * One round of a repair on the node, step by step as `replica/repair/repair.ts` takes it: the source's refs, the
 * objects they need, and in the round `refs` everything taken over: record, flush, `restart` in the journal, refs, record, flush. The
 * source must have exactly what SQL has, and the target no more than that.
 */
export async function takeOver(simulation: Simulation, life: NodeLife, replica: Replica, request: RepairRequest): Promise<RepairAnswer> {
  const { expect } = request;
  refuseWhilePromised(replica);
  refuseWhileAhead(replica, expect);
  const { network, nodes, objects, options } = simulation;
  const source = nodes.find((node) => node.name === request.source)!;
  const snapshot = await network.call({
    from: life.process, to: source.name, what: 'refs for a repair', server: () => source.life, processOf: ({ process }) => process,
    serve: (server) => server.snapshot(replica.id, expect?.generation ?? 0), deadlineMs: options.askMs,
  });
  if (expect !== undefined && (snapshot.generation !== expect.generation || snapshot.digest !== expect.digest)) {
    throw new TrivetError('repair_failed', { source: source.name, expected: expect });
  }
  const store = life.replicas.onDisk(replica.id);
  await life.access.step('fetching objects', () => {
    for (const [, tip] of snapshot.refs) {
      for (let oid = objects.missing(tip, store.objects); oid !== undefined; oid = objects.missing(tip, store.objects)) store.objects.add(oid);
    }
  });
  if (request.round === 'refs') {
    await replica.exclusively(async () => {
      refuseWhilePromised(replica);
      refuseWhileAhead(replica, expect);
      const { generation } = replica;
      await life.context.disk.writeRecord(replica.id, { repository: replica.id, objectFormat: 'sha1', generation, digest: replica.refs.digest });
      await life.access.step('a flush of the file system', () => { life.access.disk.flush(); });
      await life.journal.append({ kind: 'restart', repository: replica.id }, true);
      await replica.refs.replaceAll(snapshot.head, snapshot.refs);
      const { digest } = replica.refs;
      if (digest !== snapshot.digest) throw new TrivetError('repair_failed', { expected: snapshot.digest, got: digest });
      await life.context.disk.writeRecord(replica.id, { repository: replica.id, objectFormat: 'sha1', generation: snapshot.generation, digest });
      await life.access.step('a flush of the file system', () => { life.access.disk.flush(); });
      life.replicas.letIn(replica.id);
      replica.adopt(snapshot.generation);
      replica.recordedGeneration = snapshot.generation;
    });
  }
  return { ...replica.position, objects: 0, bytes: 0 };
}

function refuseWhileAhead(replica: Replica, expect: RepairRequest['expect']): void {
  if (expect !== undefined && replica.generation > expect.generation) throw new TrivetError('replica_ahead', { holds: replica.generation, asked: expect.generation });
}

function refuseWhilePromised(replica: Replica): void {
  if (replica.promise !== undefined) throw new TrivetError('replica_busy', { repository: replica.id, holds: replica.promise.record.batch });
}
