import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { readReplicaRecord, writeReplicaRecord } from './position-file.ts';
import { replicaDisk } from './replica-disk.ts';
import { Replicas } from './replicas.ts';

test('records that several want to write at once are all whole, and the newest stays', async (t) => {
  const { replicas, ids } = await makeReplicas(t, { count: 8, maxOpen: 1 });
  const [moving] = ids;
  for (let generation = 1; generation <= 30; generation++) {
    // Surplus replicas are closed while all are being saved.
    const moved = replicas.use(moving!, (replica) => replica.exclusively(async () => replica.advance(generation)));
    await Promise.all([moved.then(() => replicas.saveRecords()), replicas.saveRecords(), ...ids.slice(1).map((id) => replicas.use(id, async () => {}))]);
    t.is((await readReplicaRecord(replicas.gitDir(moving!)))!.generation, generation);
  }
  t.deepEqual(readdirSync(replicas.gitDir(moving!)).filter((name) => name.startsWith('trivet.json')), ['trivet.json']);
});

test('a record is written in the replica\'s turn, not over what a repair is writing', async (t) => {
  const { replicas, ids: [id] } = await makeReplicas(t, { count: 1, maxOpen: 1 });
  await replicas.use(id!, async (replica) => {
    replica.advance(1);
    const repaired = replica.exclusively(async () => {
      const record = (await readReplicaRecord(replica.gitDir))!;
      await new Promise(setImmediate);
      await writeReplicaRecord(replica.gitDir, { ...record, generation: 5 });
      replica.adopt(5);
      replica.recordedGeneration = 5;
    });
    await Promise.all([replicas.saveRecords(), repaired]);
  });
  t.is((await readReplicaRecord(replicas.gitDir(id!)))!.generation, 5);
});

test('the record of a retired replica is not written over that of the one in its place', async (t) => {
  const { replicas, ids: [id] } = await makeReplicas(t, { count: 1, maxOpen: 1 });
  const gitDir = replicas.gitDir(id!);
  await replicas.use(id!, async (replica) => {
    replica.advance(3);
    const saved = replica.exclusively(async () => {
      await writeReplicaRecord(gitDir, { repository: id!, objectFormat: 'sha1', generation: 7, digest: 'd'.repeat(64) });
      await replicas.retire(id!);
    });
    await Promise.all([saved, replicas.saveRecords()]);
  });
  t.is((await readReplicaRecord(gitDir))!.generation, 7);
});

test('a replica whose directory is gone keeps no other from being saved', async (t) => {
  const { replicas, ids: [gone, other] } = await makeReplicas(t, { count: 2, maxOpen: 10 });
  for (const id of [gone!, other!]) await replicas.use(id, async (replica) => replica.advance(2));
  renameSync(replicas.gitDir(gone!), `${replicas.gitDir(gone!)}.elsewhere`);
  await replicas.saveRecords();
  t.is((await readReplicaRecord(replicas.gitDir(other!)))!.generation, 2);
});

test('what a killed process left of a record is taken away at the next start', async (t) => {
  const { replicas, ids: [id] } = await makeReplicas(t, { count: 1, maxOpen: 1 });
  writeFileSync(join(replicas.gitDir(id!), 'trivet.json.new-0badcafe'), '{"gene');
  await replicaDisk(replicas).clean(id!);
  t.false(readdirSync(replicas.gitDir(id!)).includes('trivet.json.new-0badcafe'));
});

async function makeReplicas(t: ExecutionContext, { count, maxOpen }: { count: number; maxOpen: number }) {
  const root = mkdtempSync(join(tmpdir(), 'trivet-records-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const replicas = new Replicas(root, maxOpen, () => {}, async () => {});
  const ids = Array.from({ length: count }, () => newId());
  for (const id of ids) await replicas.create(id, 'sha1', 'refs/heads/main');
  return { replicas, ids };
}
