import { mkdir, rename, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Cluster, expectEqualReplicas, expectNothingLeft } from '../cluster.ts';
import { PushedRepository } from './pushed-repository.ts';

// The questions that every scenario ends with, asked where the answer is no.

test('control: the checks notice a ref moved by hand, an object lost, a lock, a quarantine and a promise left behind', async (t) => {
  const cluster = await Cluster.start({ environment: { TRIVET_PROMISE_DEADLINE_MS: '60000' } });
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'controls');
  const [first] = repository.acknowledged;
  const tip = await repository.mustPush();
  await repository.expectSettledAt();
  await t.throwsAsync(repository.expectSettledAt(first), { message: `main is at ${tip}, not at ${first}` });

  const directory = await cluster.replicaDirectory('controls', 'node2');
  const branch = join(directory, 'refs/heads/main');
  await writeFile(branch, `${first}\n`);
  await t.throwsAsync(expectEqualReplicas(cluster, 'controls'), { message: /^replicas differ/ });
  await writeFile(branch, `${tip}\n`);
  await expectEqualReplicas(cluster, 'controls');

  const other = await cluster.replicaDirectory('controls', 'node3');
  const objects = join(other, 'objects');
  await rename(objects, `${objects}-away`);
  await mkdir(objects);
  await t.throwsAsync(expectEqualReplicas(cluster, 'controls'), { message: /^git fsck on node3/ });
  await rmdir(objects);
  await rename(`${objects}-away`, objects);

  await mkdir(join(other, 'quarantine', 'left'), { recursive: true });
  await writeFile(join(directory, 'refs/heads/x.lock'), '');
  await cluster.arm('controller', 'decide-begin', 'kill');
  await repository.push();
  const left = await t.throwsAsync(expectNothingLeft(cluster));
  t.regex(left.message, /node1: 1 promises/);
  t.regex(left.message, /node2: .*refs\/heads\/x\.lock/);
  t.regex(left.message, /node3: .*quarantine\/left/);
});
