import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { recover } from '../participant/recovery.ts';
import { TestNode, TestRepository } from '../test-node.ts';
import { readReplicaRecord, writeReplicaRecord, type ReplicaRecord } from './position-file.ts';

const RECORD: ReplicaRecord = { repository: newId(), objectFormat: 'sha1', generation: 3, digest: 'd'.repeat(64) };

test('a record is read as it was written', async (t) => {
  const directory = scratch(t);
  await writeReplicaRecord(directory, RECORD);
  t.deepEqual(await readReplicaRecord(directory), RECORD);
});

const none: { name: string; make: (path: string) => void }[] = [
  { name: 'no file', make: () => {} },
  { name: 'half a file', make: (path) => writeFileSync(path, '{"gene') },
  { name: 'an empty file', make: (path) => writeFileSync(path, '') },
  { name: 'zero bytes', make: (path) => writeFileSync(path, '\0'.repeat(100)) },
  { name: 'JSON that is no record', make: (path) => writeFileSync(path, 'null') },
  { name: 'a directory', make: (path) => mkdirSync(path) },
];

for (const { name, make } of none) {
  test(`${name} is no record`, async (t) => {
    const directory = scratch(t);
    make(join(directory, 'trivet.json'));
    t.is(await readReplicaRecord(directory), undefined);
  });
}

test('a record that can not be read at the moment is a failure of the disk, and not a missing replica', async (t) => {
  const directory = scratch(t);
  unreadable(directory);
  await t.throwsAsync(readReplicaRecord(directory), { code: 'disk_failure' });
});

test('a replica whose record can not be read at the moment is neither missing nor forgotten, and what it promised stays on record', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  const { disk, journal, replicas } = node.context;
  const records = await journal.read();
  rmSync(join(node.gitDir(repository.id), 'trivet.json'));
  unreadable(node.gitDir(repository.id));
  await t.throwsAsync(replicas.look(repository.id), { code: 'disk_failure' });
  await t.throwsAsync(node.verify(repository.id), { code: 'disk_failure' });
  t.is((await node.position(repository.id)).generation, 1, 'what is in memory is still served');
  const recovered = await recover(disk, records, async () => ({ outcome: 'abort' }));
  t.deepEqual(recovered.kept, records.slice(1), 'all but the restart record of its creation');
  t.like(recovered.failed.get(repository.id), { code: 'disk_failure' });
});

/** Puts something in the place of the record that can't be opened: the root user of a test is refused nothing else. */
function unreadable(directory: string): void {
  symlinkSync('trivet.json', join(directory, 'trivet.json'));
}

function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-record-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}
