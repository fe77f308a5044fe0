import test from 'ava';
import { Random } from '../random.ts';
import { LogFile, NodeDisk, ReplicaOnDisk, TORN } from './node-disk.ts';

const losses = Array.from({ length: 200 }, (_, i) => new Random(i, 'loss'));

test('what was synced survives every loss of power, and behind it is a beginning of what was written, or rubbish', (t) => {
  const seen = new Set<string>();
  for (const random of losses) {
    const file = new LogFile();
    file.pending.push('first\n');
    file.sync();
    file.pending.push('second\n');
    file.lose(random);
    t.true(file.durable.startsWith('first\n'));
    const tail = file.durable.slice(6);
    t.true('second\n'.startsWith(tail.replace(/\0+$/, '')), JSON.stringify(tail));
    t.true(tail.length <= 7);
    seen.add(tail);
  }
  t.true(seen.has('') && seen.has('second\n') && [...seen].some((tail) => tail.includes('\0')));
});

test('a ref that was not flushed may have any value since the last flush, or be torn', (t) => {
  const seen = new Set<string | undefined>();
  for (const random of losses) {
    const replica = new ReplicaOnDisk(undefined, 'refs/heads/main');
    replica.ref('refs/heads/a').write('1');
    replica.flush();
    replica.ref('refs/heads/a').write('2');
    replica.ref('refs/heads/a').write('3');
    replica.lose(random);
    seen.add(replica.ref('refs/heads/a').value);
  }
  t.deepEqual([...seen].sort(), ['1', '2', '3', TORN]);
});

test('a removed journal file may come back until the disk is flushed', (t) => {
  const after = (flush: boolean) => new Set(losses.map((random) => {
    const disk = new NodeDisk();
    disk.journal.set('000000000001.log', new LogFile('x'));
    disk.removeJournalFile('000000000001.log');
    if (flush) disk.flush();
    disk.lose(random);
    return disk.journal.size;
  }));
  t.deepEqual([...after(false)].sort(), [0, 1]);
  t.deepEqual([...after(true)], [0]);
});
