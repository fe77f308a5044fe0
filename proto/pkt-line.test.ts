import test from 'ava';
import fc from 'fast-check';
import { ByteReader } from './byte-reader.ts';
import { BAND_DATA, BAND_PROGRESS, DELIMITER, encodePacket, encodeSideBand, FLUSH, readPacket, type Packet } from './pkt-line.ts';
import { inPieces } from './test-stream.ts';

async function readAll(reader: ByteReader): Promise<Packet[]> {
  const packets: Packet[] = [];
  while (!await reader.atEnd()) packets.push(await readPacket(reader));
  return packets;
}

const packet = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes): Packet => ({ type: 'data', payload: Buffer.from(bytes) })) },
  fc.constant<Packet>({ type: 'flush' }),
  fc.constant<Packet>({ type: 'delimiter' }),
  fc.constant<Packet>({ type: 'response-end' }),
);

function encode(value: Packet): Buffer {
  switch (value.type) {
    case 'data': return encodePacket(value.payload);
    case 'flush': return FLUSH;
    case 'delimiter': return DELIMITER;
    case 'response-end': return Buffer.from('0002');
  }
}

test('lines come out as they went in, however the stream is cut', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(packet, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), async (packets, sizes) => {
    const reader = new ByteReader(inPieces(Buffer.concat(packets.map(encode)), sizes));
    t.deepEqual(await readAll(reader), packets);
  }));
  t.pass();
});

test('a stream that ends inside a line is truncated, wherever it ends', async (t) => {
  const bytes = Buffer.concat([encodePacket('first line\n'), encodePacket('second')]);
  const whole = new Set([0, encodePacket('first line\n').length, bytes.length]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reading = readAll(new ByteReader(inPieces(bytes.subarray(0, cut), [3])));
    if (whole.has(cut)) await t.notThrowsAsync(reading);
    else await t.throwsAsync(reading, { name: 'TrivetError', message: 'the request body ended too early' }, `cut at ${cut}`);
  }
});

for (const header of ['0003', 'fff1', 'ffff', '-001', '+010', ' 010', '0x10', '00g0', '1e01\n'.slice(1), 'PACK', '\0\0\0\0', '00 4', '٠٠٠٤']) {
  test(`${JSON.stringify(header)} is no length of a line`, async (t) => {
    const bytes = Buffer.concat([Buffer.from(header), Buffer.alloc(70_000, 'x')]);
    const error = await t.throwsAsync(readPacket(new ByteReader(inPieces(bytes, [5]))));
    t.like(error, { code: 'bad_pkt_line' });
  });
}

test('lengths may be written in capitals', async (t) => {
  t.deepEqual(await readPacket(new ByteReader(inPieces(Buffer.from('000Aabcdef'), [10]))), { type: 'data', payload: Buffer.from('abcdef') });
});

test('the longest line is 65,520 bytes and a longer one can not be made', async (t) => {
  const longest = Buffer.alloc(65_516, 'x');
  const encoded = encodePacket(longest);
  t.is(encoded.subarray(0, 4).toString(), 'fff0');
  t.deepEqual(await readPacket(new ByteReader(inPieces(encoded, [1_000]))), { type: 'data', payload: longest });
  t.throws(() => encodePacket(Buffer.alloc(65_517)), { instanceOf: RangeError });
});

test('an empty line needs nothing behind it', async (t) => {
  async function* silent(): AsyncGenerator<Buffer> {
    yield Buffer.from('0004');
    await new Promise(() => {});
  }
  t.deepEqual(await readPacket(new ByteReader(silent())), { type: 'data', payload: Buffer.alloc(0) });
});

test('a text counts in bytes, not in letters', (t) => {
  t.is(encodePacket('é€').toString('latin1').slice(0, 4), '0009');
});

test('a side-band carries everything in lines that fit', async (t) => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 200_000 }), async (length) => {
    const payload = Buffer.alloc(length, 'abc');
    const packets = await readAll(new ByteReader(inPieces(encodeSideBand(BAND_DATA, payload), [50_000])));
    const lines = packets.map((line) => (line.type === 'data' ? line.payload : Buffer.alloc(0)));
    t.true(lines.every((line) => line[0] === BAND_DATA));
    t.true(Buffer.concat(lines.map((line) => line.subarray(1))).equals(payload));
    t.is(lines.length, Math.max(1, Math.ceil(length / 65_515)));
  }), { numRuns: 15 });
});

test('nothing to say makes a line that only keeps the connection alive', (t) => {
  t.is(encodeSideBand(BAND_PROGRESS, '').toString('latin1'), '0005\x02');
});
