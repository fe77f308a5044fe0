import { appendFileSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import { journalFiles, type JournalDisk } from './journal-files.ts';
import { Journal, parseJournal, type JournalRecord, type PromiseRecord } from './journal.ts';

test('what was appended is read again, in order, by the next start', async (t) => {
  const { directory, journal } = await openJournal(t);
  const records: JournalRecord[] = [
    promise(), { kind: 'committed', repository: 'r', batch: 'b' }, { kind: 'restart', repository: 'r' },
  ];
  for (const record of records) await journal.append(record, true);
  await journal.close();
  t.deepEqual(await reader(directory).read(), records);
});

test('appends of one turn of the event loop share one write', async (t) => {
  const { directory, journal } = await openJournal(t);
  const records = Array.from({ length: 50 }, () => promise());
  await Promise.all(records.map((record) => journal.append(record, true)));
  t.deepEqual(parseJournal(onlyFile(directory)), records);
  t.is(journal.bytes, Buffer.byteLength(onlyFile(directory)));
});

test('however much of the last write a crash leaves, what is read is a beginning of what was written', (t) => {
  const text = fc.string({ unit: 'grapheme' });
  const records = fc.array(fc.record({ repository: text, batch: text }), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(records, fc.nat(), (written, cut) => {
    const all = written.map((each): JournalRecord => ({ kind: 'committed', ...each }));
    const bytes = Buffer.from(all.map(lineOf).join(''));
    const read = parseJournal(bytes.subarray(0, cut % (bytes.length + 1)).toString('utf8'));
    t.deepEqual(read, all.slice(0, read.length));
    t.deepEqual(parseJournal(bytes.toString('utf8')), all);
  }));
});

test('reading stops at a line that was damaged, and believes nothing behind it', (t) => {
  const records = [promise(), promise(), promise()];
  const lines = records.map(lineOf);
  for (const position of [0, 8, 9, 40, lines[1]!.length - 2]) {
    const damaged = Buffer.from(lines[1]!);
    damaged[position]! ^= 1;
    t.deepEqual(parseJournal([lines[0], damaged.toString('latin1'), lines[2]].join('')), records.slice(0, 1));
  }
  t.deepEqual(parseJournal(`${lines[0]}${'\0'.repeat(200)}`), records.slice(0, 1), 'zero bytes, as ext4 leaves them');
});

test('a new file begins with the promises without an outcome, and the old one is deleted after a flush', async (t) => {
  const steps: string[] = [];
  const { directory, journal } = await openJournal(t, async (folder) => {
    steps.push(`flush with ${readdirSync(folder).length} files`);
  });
  const [kept, done] = [promise(), promise()];
  steps.length = 0;
  const outcome: JournalRecord = { kind: 'committed', repository: 'r', batch: done.batch };
  for (const record of [kept, done, outcome]) await journal.append(record, true);
  await journal.rotate(() => [kept]);
  t.deepEqual(steps, ['flush with 2 files']);
  t.deepEqual(parseJournal(onlyFile(directory)), [kept]);
  const next = promise();
  await journal.append(next, true);
  await journal.close();
  t.deepEqual(await reader(directory).read(), [kept, next]);
});

test('a crash between the new file and the deletion of the old leaves both, and nothing is lost', async (t) => {
  const saved = mkdtempSync(join(tmpdir(), 'trivet-journal-'));
  t.teardown(() => rmSync(saved, { recursive: true }));
  const { journal } = await openJournal(t, async (directory) => {
    for (const name of readdirSync(directory)) copyFileSync(join(directory, name), join(saved, name));
  });
  const [kept, done] = [promise(), promise()];
  for (const record of [kept, done]) await journal.append(record, true);
  await journal.rotate(() => [kept]);
  t.deepEqual(await reader(saved).read(), [kept, done, kept]);
});

test('when the flush fails the old file stays', async (t) => {
  let broken = false;
  const { directory, journal } = await openJournal(t, async () => { if (broken) throw new Error('the disk is gone'); });
  const record = promise();
  await journal.append(record, true);
  broken = true;
  await t.throwsAsync(journal.rotate(() => []), { message: 'the disk is gone' });
  await journal.close();
  t.deepEqual(await reader(directory).read(), [record]);
});

test('a promise that is made while the journal changes files is in one of them', async (t) => {
  const { directory, journal } = await openJournal(t);
  const held: PromiseRecord[] = [];
  const make = async () => {
    const record = promise();
    held.push(record);
    await journal.append(record, true);
  };
  const making = (async () => { for (let i = 0; i < 30; i++) await Promise.all([make(), make()]); })();
  for (let i = 0; i < 8; i++) await journal.rotate(() => [...held]);
  await making;
  await journal.close();
  const read = new Set((await reader(directory).read()).map((record) => (record as PromiseRecord).batch));
  t.deepEqual(held.filter((record) => !read.has(record.batch)), []);
});

test('a journal changes files while records keep coming: it waits for one group and no more', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-journal-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const disk = journalFiles(directory);
  let appended = 0;
  const appending: Promise<void>[] = [];
  const more = () => { appending.push(journal.append(promise(), true)); };
  // A disk under which the next record has always come before the last one is done.
  const busy: JournalDisk = { ...disk, create: async (name) => {
    const file = await disk.create(name);
    return { ...file, sync: async () => {
      await file.sync();
      appended += 1;
      if (appended < 200) more();
    } };
  } };
  const journal = new Journal(busy, async () => {});
  await journal.read();
  await journal.rotate(() => []);
  more();
  await journal.rotate(() => []);
  t.true(appended < 200, 'records were still coming');
  while (appending.length > 0) await appending.shift();
  await journal.close();
  t.is(appended, 200);
});

test('control: a promise that nobody carries over is lost with the old file', async (t) => {
  const { directory, journal } = await openJournal(t);
  await journal.append(promise(), true);
  await journal.rotate(() => []);
  await journal.close();
  t.deepEqual(await reader(directory).read(), []);
});

test('records that are kept go along into each new file, until a restart record has ended them', async (t) => {
  const { directory, journal } = await openJournal(t);
  const kept: JournalRecord[] = [promise(), { kind: 'committed', repository: 'r', batch: 'b' }, { ...promise(), repository: 'other' }];
  journal.keep(kept);
  for (let i = 0; i < 2; i++) {
    await journal.rotate(() => []);
    t.deepEqual(parseJournal(onlyFile(directory)), [...kept.slice(0, 2), kept[2]]);
  }
  await journal.append({ kind: 'restart', repository: 'r' }, true);
  await journal.rotate(() => []);
  t.deepEqual(parseJournal(onlyFile(directory)), [kept[2]]);
});

test('after a failed write every append fails, until the journal goes on in a new file that has what is outstanding', async (t) => {
  const { directory, journal, disk } = await openFailing(t);
  const [kept, torn, next] = [promise(), promise(), promise()];
  await journal.append(kept, true);
  disk.fails = 'append';
  await t.throwsAsync(journal.append(torn, true), { code: 'disk_failure' });
  t.true(journal.failed && journal.wantsNewFile);
  await t.throwsAsync(journal.append(next, true), { code: 'disk_failure' });
  for (let i = 0; i < 3; i++) await t.throwsAsync(journal.rotate(() => [kept]), { code: 'disk_failure' });
  t.deepEqual(parseJournal(onlyFile(directory)), [kept], 'a full disk is not filled with attempts');
  disk.fails = undefined;
  await journal.rotate(() => [kept]);
  t.false(journal.failed || journal.wantsNewFile);
  await journal.append(next, true);
  t.deepEqual(parseJournal(onlyFile(directory)), [kept, next]);
});

test('after a failed write with nothing outstanding the journal goes on as well', async (t) => {
  const { directory, journal, disk } = await openFailing(t);
  disk.fails = 'append';
  await t.throwsAsync(journal.append(promise(), true), { code: 'disk_failure' });
  disk.fails = undefined;
  await journal.rotate(() => []);
  const record = promise();
  await journal.append(record, true);
  t.deepEqual(parseJournal(onlyFile(directory)), [record]);
});

test('a file that can not be made leaves the journal as it is', async (t) => {
  const { directory, journal, disk } = await openFailing(t);
  const record = promise();
  disk.fails = 'create';
  await t.throwsAsync(journal.rotate(() => []));
  await journal.append(record, true);
  t.deepEqual(parseJournal(onlyFile(directory)), [record]);
});

for (const during of ['an append', 'a change of files'] as const) {
  test(`after a failed fsync in ${during} nothing is promised any more, whatever the disk says later, and no file goes`, async (t) => {
    const { directory, journal, disk } = await openFailing(t);
    const kept = promise();
    await journal.append(kept, true);
    disk.fails = 'sync';
    await t.throwsAsync(during === 'an append' ? journal.append(promise(), true) : journal.rotate(() => [kept]), { code: 'disk_failure' });
    disk.fails = undefined;
    t.true(journal.failed);
    t.false(journal.wantsNewFile);
    await t.throwsAsync(journal.rotate(() => [kept]), { code: 'disk_failure' });
    await t.throwsAsync(journal.append(promise(), true), { code: 'disk_failure' });
    await journal.close();
    t.deepEqual((await reader(directory).read())[0], kept);
  });
}

test('an fsync that fails while a change of files waits ends that, too', async (t) => {
  const { journal, disk } = await openFailing(t);
  disk.fails = 'sync';
  const both = await Promise.allSettled([journal.append(promise(), true), journal.rotate(() => [])]);
  t.deepEqual(both.map(({ status }) => status), ['rejected', 'rejected']);
});

test('after a flush that may have lost something no file goes in this life; one that was not tried is tried again', async (t) => {
  let fault: Error | undefined;
  const { directory, journal } = await openJournal(t, async () => { if (fault !== undefined) throw fault; });
  const record = promise();
  await journal.append(record, true);
  fault = new Error('no process could be started');
  await t.throwsAsync(journal.rotate(() => []));
  fault = undefined;
  await journal.rotate(() => []);
  t.is(readdirSync(directory).length, 1);
  const second = promise();
  await journal.append(second, true);
  fault = new TrivetError('disk_failure');
  await t.throwsAsync(journal.rotate(() => []), { code: 'disk_failure' });
  fault = undefined;
  for (let i = 0; i < 2; i++) await journal.rotate(() => []);
  await journal.close();
  t.deepEqual(await reader(directory).read(), [second]);
});

test('files that are not of the journal are left alone', async (t) => {
  const { directory, journal } = await openJournal(t);
  writeFileSync(join(directory, 'note.txt'), 'mine');
  const record = promise();
  await journal.append(record, true);
  await journal.rotate(() => [record]);
  await journal.close();
  t.is(readFileSync(join(directory, 'note.txt'), 'utf8'), 'mine');
  t.deepEqual(await reader(directory).read(), [record]);
});

test('an old file that ends torn does not hide the file after it', async (t) => {
  const { directory, journal } = await openJournal(t);
  const first = promise();
  await journal.append(first, true);
  await journal.close();
  appendFileSync(join(directory, readdirSync(directory)[0]!), '12345678 {"kind":"prom');
  const next = reader(directory);
  t.deepEqual(await next.read(), [first]);
  await next.rotate(() => [first]);
  const second = promise();
  await next.append(second, true);
  await next.close();
  t.deepEqual(await reader(directory).read(), [first, second]);
});

async function openJournal(t: ExecutionContext, flush: (directory: string) => Promise<void> = async () => {}) {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-journal-'));
  const journal = new Journal(journalFiles(directory), () => flush(directory));
  t.teardown(async () => {
    await journal.close();
    rmSync(directory, { recursive: true });
  });
  t.deepEqual(await journal.read(), []);
  await journal.rotate(() => []);
  return { directory, journal };
}

/** A journal on a disk that fails when it is told to. */
async function openFailing(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-journal-'));
  const files = journalFiles(directory);
  const disk: { fails?: 'create' | 'append' | 'sync' | undefined } = {};
  const unless = (operation: typeof disk.fails) => { if (disk.fails === operation) throw new Error(`${operation}: no space left on device`); };
  const journal = new Journal({ ...files, create: async (name) => {
    unless('create');
    const file = await files.create(name);
    return {
      ...file,
      append: async (bytes) => {
        if (disk.fails === 'append') await file.append(bytes.subarray(0, bytes.length >> 1));
        unless('append');
        await file.append(bytes);
      },
      sync: async () => {
        unless('sync');
        await file.sync();
      },
    };
  } }, async () => {});
  t.teardown(async () => {
    await journal.close();
    rmSync(directory, { recursive: true });
  });
  await journal.read();
  await journal.rotate(() => []);
  return { directory, journal, disk };
}

function reader(directory: string): Journal {
  return new Journal(journalFiles(directory), async () => {});
}

function promise(): PromiseRecord {
  const position = (generation: number) => ({ generation, digest: String(generation).repeat(64) });
  return {
    kind: 'promise', repository: 'r', batch: newId(), transactions: [newId()], before: position(1), after: position(2),
    change: { updates: [{ ref: 'refs/heads/grün', old: 'b'.repeat(40), new: 'a'.repeat(40) }] },
  };
}

/** A record as the journal writes it. */
function lineOf(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

function onlyFile(directory: string): string {
  const [name, ...others] = readdirSync(directory);
  if (others.length > 0) throw new Error(`more than one file: ${others.join(' ')}`);
  return readFileSync(join(directory, name!), 'utf8');
}
