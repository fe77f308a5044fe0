import test from 'ava';
import { packet, packets, PacketStream } from './packet-stream.ts';

test('lines come out the same wherever the chunks are cut', (t) => {
  const bytes = Buffer.from(`${packet('packfile\n')}0001${packet('')}${packet('abc')}0000`);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen: string[] = [];
    let line = '';
    const stream = new PacketStream({
      onPayload(piece, first, last) {
        line = first ? piece.toString() : line + piece.toString();
        if (last) seen.push(line);
      },
      onSpecial: (kind) => seen.push(`<${kind}>`),
    });
    stream.push(bytes.subarray(0, cut));
    stream.push(bytes.subarray(cut));
    stream.end();
    t.deepEqual(seen, ['packfile\n', '<delimiter>', '', 'abc', '<flush>'], `cut at ${cut}`);
  }
});

test('a stream that stops inside a line is refused', (t) => {
  t.throws(() => packets(Buffer.from('0008ab')), { message: /inside a pkt-line/ });
  t.throws(() => packets(Buffer.from('00')), { message: /inside a pkt-line/ });
});

test('a malformed length is refused', (t) => {
  t.throws(() => packets(Buffer.from('<htm')), { message: /not a pkt-line/ });
  t.throws(() => packets(Buffer.from('0003')), { message: /length 3/ });
});
