import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { HttpClient } from './client/http.ts';
import { listRefs } from './client/clone.ts';
import { encodeCommands, push } from './client/push.ts';
import type { RefUpdate } from './client/push.ts';
import type { MeasureName } from './config.ts';
import type { Bench, Contender, Role } from './measure.ts';
import type { PreparedPush } from './repositories/push-chains.ts';

const run = promisify(execFile);
const CHUNK_BYTES = 256 * 1024;

/** One round of one contender: a fresh repository and connections of its own. */
export interface Round {
  contender: Contender;
  /** The repository's git URL. */
  url: string;
  client: HttpClient;
}

/**
 * Runs `play` for each contender in turn, round after round, beginning with another one each time, so that whatever
 * drifts on the machine meets all of them alike.
 * @param roles who takes part
 * @returns for each role the results of its rounds, in order
 */
export async function alternate<T>(
  bench: Bench,
  measure: MeasureName,
  rounds: number,
  roles: readonly Role[],
  play: (round: Round) => Promise<T>,
): Promise<Partial<Record<Role, T[]>>> {
  const contenders = bench.contenders.filter(({ role }) => roles.includes(role));
  const results: Partial<Record<Role, T[]>> = {};
  for (let number = 0; number < rounds; number++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(number + turn) % contenders.length]!;
      bench.progress(`${measure}: round ${number + 1} of ${rounds}, ${contender.target.name}`);
      const client = new HttpClient();
      try {
        const url = await contender.target.createRepository(`bench-${measure}-${number + 1}`);
        // What the round before has left to be written is not this round's burden.
        await run('sync');
        (results[contender.role] ??= []).push(await play({ contender, url, client }));
      } catch (cause) {
        throw new Error(`${measure} on ${contender.target.name}, round ${number + 1}, failed`, { cause });
      } finally {
        client.close();
      }
    }
  }
  return results;
}

/** One of the values each round gave. */
export function pick<T>(
  results: Partial<Record<Role, T[]>>,
  value: (result: T) => number,
): Partial<Record<Role, number[]>> {
  return Object.fromEntries(Object.entries(results).map(([role, list]) => [role, list.map(value)]));
}

/** Sends a push that was prepared. @returns milliseconds. Throws Error unless every ref is reported `ok`. */
export function sendPrepared(round: Pick<Round, 'client' | 'url'>, prepared: PreparedPush): Promise<number> {
  return push(round.client, round.url, prepared.body, prepared.updates.map((update) => update.ref));
}

/**
 * Pushes a pack from a file, streamed. It has a Content-Length, other than what `git push` sends of a large pack
 * (chunked): lighttpd hands only a body of known length on to a program as it arrives, and spools any other to disk
 * first, which would make the plain server slower than it has to be.
 * @returns milliseconds
 */
export function sendPackFile(
  round: Pick<Round, 'client' | 'url'>,
  pack: { packPath: string; packBytes: number; updates: readonly RefUpdate[] },
): Promise<number> {
  const commands = encodeCommands(pack.updates);
  const body = {
    stream: Readable.from(commandsAndPack(commands, pack.packPath), { objectMode: false, highWaterMark: CHUNK_BYTES }),
    bytes: commands.length + pack.packBytes,
  };
  return push(round.client, round.url, body, pack.updates.map(({ ref }) => ref));
}

/** Throws Error unless the repository's branches and tags are exactly what the last of these updates made them. */
export async function expectRefs(round: Pick<Round, 'client' | 'url'>, updates: readonly RefUpdate[]): Promise<void> {
  const expected = new Map(updates.map((update) => [update.ref, update.new]));
  const found = await listRefs(round.client, round.url);
  for (const [ref, oid] of expected) {
    if (found.get(ref) !== oid) throw new Error(`${ref} should be ${oid} and is ${found.get(ref) ?? 'missing'}`);
  }
  if (found.size !== expected.size) throw new Error(`${found.size} refs are there, not ${expected.size}`);
}

async function* commandsAndPack(commands: Buffer, packPath: string): AsyncGenerator<Buffer> {
  yield commands;
  yield* createReadStream(packPath, { highWaterMark: CHUNK_BYTES });
}
