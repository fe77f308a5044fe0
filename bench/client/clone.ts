import { createHash } from 'node:crypto';
import type { HttpClient } from './http.ts';
import { packet, packets, PacketStream } from './packet-stream.ts';
import { expectSuccess } from './push.ts';

const SERVICE = 'application/x-git-upload-pack';
const HEADERS = { 'content-type': `${SERVICE}-request`, accept: `${SERVICE}-result`, 'git-protocol': 'version=2' };
const AGENT = 'git/bench';
const preamble = (agent: string) => `${packet(`agent=${agent}`)}${packet('object-format=sha1')}0001`;
const TRAILER_BYTES = 20;

/** The pack that a clone received and threw away. */
export interface ClonedPack {
  milliseconds: number;
  packBytes: number;
  objects: number;
}

/** Every branch and tag with its value, read with protocol v2's `ls-refs`. Throws Error when it isn't answered. */
export async function listRefs(client: HttpClient, url: string): Promise<Map<string, string>> {
  const parts: Buffer[] = [];
  const request = packet('command=ls-refs\n') + preamble(AGENT) + packet('peel\n') + packet('symrefs\n')
    + packet('ref-prefix refs/heads/\n') + packet('ref-prefix refs/tags/\n') + packet('ref-prefix HEAD\n') + '0000';
  const body = Buffer.from(request);
  const answer = await client.send('POST', `${url}/git-upload-pack`, HEADERS, body, (chunk) => parts.push(chunk));
  expectSuccess(answer, `${SERVICE}-result`, parts);
  const lines = packets(Buffer.concat(parts));
  if (lines.at(-1) !== null) throw new Error('the list of refs has no end');
  const refs = new Map<string, string>();
  for (const line of lines.slice(0, -1)) {
    const [oid = '', name = ''] = line?.toString().trimEnd().split(' ') ?? [];
    if (name.startsWith('refs/')) refs.set(name, oid);
  }
  return refs;
}

/**
 * A full clone over protocol v2 as `git clone --mirror` makes it: capabilities, `ls-refs`, then a `fetch` that wants
 * everything and has nothing. The pack is hashed and counted as it streams by, and kept nowhere.
 * Throws Error when the response is incomplete or the pack's own checksum is wrong.
 * @param agent what the client calls itself; with a new name the request is like none before, so that a server that keeps
 *   answers has to make this one
 */
export async function clone(client: HttpClient, url: string, agent = AGENT): Promise<ClonedPack> {
  const begun = performance.now();
  const advertisement: Buffer[] = [];
  const capabilities = await client.send(
    'GET',
    `${url}/info/refs?service=git-upload-pack`,
    { 'git-protocol': 'version=2' },
    undefined,
    (chunk) => advertisement.push(chunk),
  );
  expectSuccess(capabilities, `${SERVICE}-advertisement`, advertisement);
  if (!Buffer.concat(advertisement).includes('version 2')) throw new Error('the server does not speak protocol v2');

  const wants = new Set((await listRefs(client, url)).values());
  const request = packet('command=fetch') + preamble(agent) + packet('thin-pack') + packet('no-progress')
    + packet('include-tag') + packet('ofs-delta')
    + [...wants].map((oid) => packet(`want ${oid}\n`)).join('') + packet('done\n') + '0000';
  const pack = new PackCheck();
  const response = new FetchResponse(pack);
  const refused: Buffer[] = [];
  const answer = await client.send('POST', `${url}/git-upload-pack`, HEADERS, Buffer.from(request), (chunk) => {
    if (!response.push(chunk)) refused.push(chunk);
  });
  expectSuccess(answer, `${SERVICE}-result`, refused);
  response.end();
  const objects = pack.finish();
  return { milliseconds: performance.now() - begun, packBytes: pack.bytes, objects };
}

/** The answer to `fetch` with `done`: the line `packfile`, then the pack in side-band 1, then a flush. */
class FetchResponse {
  #malformed = false;
  readonly #stream: PacketStream;
  #section = '';
  #inPack = false;
  #band = 0;
  #ended = false;
  #failure = '';

  constructor(pack: PackCheck) {
    this.#stream = new PacketStream({
      onPayload: (piece, first, last) => {
        this.#ended = false;
        if (!this.#inPack) {
          this.#section = first ? piece.toString() : this.#section + piece.toString();
          if (last && this.#section === 'packfile\n') this.#inPack = true;
          else if (last) throw new Error(`expected a pack, got ${JSON.stringify(this.#section)}`);
          return;
        }
        if (first) this.#band = piece[0] ?? 2;
        const data = first ? piece.subarray(1) : piece;
        if (this.#band === 1) pack.push(data);
        else if (this.#band === 3) this.#failure += data.toString();
      },
      onSpecial: (kind) => {
        this.#ended = kind === 'flush';
      },
    });
  }

  /** False once the response has been found malformed. It never throws, being called from a stream's event. */
  push(chunk: Buffer): boolean {
    if (this.#malformed) return false;
    try {
      this.#stream.push(chunk);
    } catch (error) {
      this.#malformed = true;
      this.#failure ||= String(error);
    }
    return !this.#malformed;
  }

  end(): void {
    if (this.#failure !== '') throw new Error(`the fetch failed: ${this.#failure.trim()}`);
    this.#stream.end();
    if (!this.#inPack || !this.#ended) throw new Error('the fetch ended without its flush');
  }
}

/** Checks a pack (gitformat-pack(5)) that streams by: its magic, its object count and the SHA-1 at its end. */
export class PackCheck {
  bytes = 0;
  readonly #hash = createHash('sha1');
  #head = Buffer.alloc(0);
  /** The last bytes seen, not hashed yet because they may be the checksum. */
  #tail = Buffer.alloc(0);

  push(data: Buffer): void {
    if (this.#head.length < 12) this.#head = Buffer.concat([this.#head, data.subarray(0, 12 - this.#head.length)]);
    this.bytes += data.length;
    if (data.length >= TRAILER_BYTES) {
      this.#hash.update(this.#tail).update(data.subarray(0, -TRAILER_BYTES));
      this.#tail = Buffer.from(data.subarray(-TRAILER_BYTES));
      return;
    }
    const joined = Buffer.concat([this.#tail, data]);
    const settled = Math.max(0, joined.length - TRAILER_BYTES);
    this.#hash.update(joined.subarray(0, settled));
    this.#tail = joined.subarray(settled);
  }

  /** The number of objects the pack declares. Throws Error when it is no complete pack. */
  finish(): number {
    if (this.#head.toString('latin1', 0, 4) !== 'PACK') throw new Error('no pack was sent');
    if (!this.#hash.digest().equals(this.#tail)) throw new Error("the pack's checksum is wrong");
    return this.#head.readUInt32BE(8);
  }
}
