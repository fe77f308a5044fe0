import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import test from 'ava';
import { MAX_LOOSE_UPDATES, RefStore, type RefChange } from './ref-store.ts';
import { ENVIRONMENT, locksOf, makeScratch } from './scratch-repository.ts';

const LISTINGS = 150;

test('git listing refs again and again while they move never fails and never misses a ref that stays', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const store = await RefStore.open(gitDir, 'sha1');
  const staying = Array.from({ length: 60 }, (_, i) => `refs/heads/stays/${i}`);
  const passing = Array.from({ length: 20 }, (_, i) => `refs/heads/passes/${i}`);
  const move = (refs: readonly string[], oid: string | undefined): RefChange =>
    ({ updates: refs.map((ref) => ({ ref, old: store.get(ref), new: oid })) });
  await store.apply(move(staying, oids[0]));

  const script = 'until [ -e stop ]; do git for-each-ref --format="%(objectname) %(refname)" || echo failed; echo; done';
  const reader = spawn('/bin/sh', ['-c', script], { cwd: gitDir, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(reader, 'close');
  t.teardown(() => reader.kill('SIGKILL'));
  let [output, errors] = ['', ''];
  reader.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  reader.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
  const listings = () => output.split('\n\n').slice(0, -1);
  for (let round = 1; listings().length < LISTINGS; round++) {
    await store.apply(move(staying.slice(0, 5), oids[round % 4])); // loose over packed
    await store.apply(move(staying.slice(0, MAX_LOOSE_UPDATES + 1), oids[(round + 1) % 4])); // packed again
    await store.apply(move(passing, round % 2 ? oids[0] : undefined));
  }
  writeFileSync(`${gitDir}/stop`, '');
  await ended;

  // git lists a directory first and reads its refs afterwards, and says so of one that was deleted in between, whoever
  // deleted it. Of a ref that stays it must not.
  const complaints = errors.split('\n').filter((line) => line !== '' && !/^warning: ignoring broken ref refs\/heads\/passes\/\d+$/.test(line));
  t.deepEqual(complaints, []);
  for (const listing of listings()) {
    const refs = new Map(listing.trim().split('\n').map((line) => [line.slice(41), line.slice(0, 40)]));
    for (const ref of staying) t.true(oids.includes(refs.get(ref) ?? ''), ref);
  }
  t.deepEqual(locksOf(gitDir), []);
});
