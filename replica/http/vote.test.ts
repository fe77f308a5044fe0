import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import test from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { zeroOid } from '@trivet/proto/object-format.ts';
import { TestNode, TestRepository, TOKEN } from '../test-node.ts';

test('a vote that is answered before its body has ended leaves a connection on which the next request is answered', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  const socket = connect(Number(new URL(node.url).port), '127.0.0.1');
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  const header = Buffer.from(JSON.stringify({
    transaction: newId(), commands: [{ ref: 'refs/heads/main', old: zeroOid('sha1'), new: '1'.repeat(40) }], atomic: false,
    policy: { denyNonFastForwards: false, denyDeletes: false }, generation: 0, pack: true,
  }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length);
  // More than what is taken in as a whole, and an object of type 0, which there is not.
  const damaged = Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x05', 'latin1'), Buffer.alloc(1_500_000)]);
  const rest = randomBytes(400_000);
  socket.write([
    `POST /repositories/${repository.id}/vote HTTP/1.1`, 'host: node', `authorization: Bearer ${TOKEN}`, 'content-type: application/x-trivet-vote',
    `content-length: ${length.length + header.length + damaged.length + rest.length}`, '', '',
  ].join('\r\n'));
  socket.write(Buffer.concat([length, header, damaged]));
  const answer = await answerOn(socket);
  t.regex(answer, /^HTTP\/1\.1 200 /);
  t.notRegex(answer, /"unpack":"ok"/);
  socket.write(rest);
  socket.write(`GET /repositories/${repository.id}/refs HTTP/1.1\r\nhost: node\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
  t.regex(await answerOn(socket), /^HTTP\/1\.1 200 [^]*"generation":0/);
});

/** The next answer that is short enough to come at once. */
async function answerOn(socket: Socket): Promise<string> {
  let text = '';
  while (!/\r\n\r\n[^]*\}$/.test(text)) {
    const [chunk] = await once(socket, 'data') as [Buffer];
    text += chunk.toString('latin1');
  }
  return text;
}
