import { TrivetError } from '@trivet/proto/errors.ts';
import type { RepairAnswer, RepairRequest } from '@trivet/proto/messages.ts';
import { expectationOf, refuseWhilePromised } from '../../../replica/repair/expectation.ts';
import { takeOver } from '../../../replica/repair/take-over.ts';
import type { Replica } from '../../../replica/repository/replica.ts';
import type { Simulation } from '../simulation.ts';
import type { NodeLife } from './sim-node.ts';

/**
 * One round of a repair on the node: the source's refs, which must be exactly what SQL has in the last round; the
 * objects they need, copied without git; and in that round the real take-over.
 */
export async function repairRound(simulation: Simulation, life: NodeLife, replica: Replica, request: RepairRequest): Promise<RepairAnswer> {
  const { network, nodes, objects, options } = simulation;
  const expect = request.round === 'refs' ? expectationOf(request) : undefined;
  refuseWhilePromised(replica);
  const source = nodes.find((node) => node.name === request.source)!;
  const snapshot = await network.call({
    from: life.process, to: source.name, what: 'refs for a repair', server: () => source.life, processOf: ({ process }) => process,
    serve: (server) => server.snapshot(replica.id, expect?.generation ?? 0), deadlineMs: options.askMs,
  });
  if (expect !== undefined && (snapshot.generation !== expect.generation || snapshot.digest !== expect.digest)) {
    throw new TrivetError('repair_failed', { source: source.name, expected: expect });
  }
  const store = life.replicas.onDisk(replica.id);
  let brought = 0;
  await life.access.step('fetching objects', () => {
    for (const [, tip] of snapshot.refs) {
      for (let oid = objects.missing(tip, store.objects); oid !== undefined; oid = objects.missing(tip, store.objects)) {
        store.objects.add(oid);
        brought++;
      }
    }
  });
  if (expect !== undefined) {
    const { disk } = life.context;
    await takeOver(replica, snapshot, expect, life.journal, {
      readRecord: () => disk.readRecord(replica.id),
      writeRecord: (record) => disk.writeRecord(replica.id, record),
      clearWay: async () => {},
      flush: () => life.access.step('a flush of the file system', () => { life.access.disk.flush(); }),
    });
    life.replicas.letIn(replica.id);
  }
  return { ...replica.position, objects: brought, bytes: 0 };
}
