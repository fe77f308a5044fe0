import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import anyTest, { type TestFn } from 'ava';
import { blob, buildPack, whole } from '../../replica/quarantine/test-pack.ts';
import { expectNothingLeft } from '../cluster.ts';
import { encodeRequest, open } from './raw-http.ts';
import { PUSH_TYPE, pushBody, soundHistory, Target, ZERO } from './target.ts';

const test = anyTest as TestFn<{ target: Target }>;

test.before(async (t) => { t.context = { target: await Target.start({ environment: { TRIVET_SMALL_PACK_BYTES: '65536' } }) }; });
test.after.always(async (t) => { await t.context.target.cluster.stop(); });

/** A valid push, cut at these bytes. A large pack is streamed to the nodes while it comes, a small one is not. */
function recorded(target: Target, size: 'small' | 'large'): { bytes: Buffer; cuts: [where: string, at: number][] } {
  const { tip, objects } = soundHistory(`never finished, ${size}`);
  const padding = size === 'large' ? [whole(blob(randomBytes(600_000)))] : [];
  const pack = buildPack([...padding, ...objects.map(whole)], 'sha1');
  const body = pushBody({ commands: [`${ZERO} ${tip} refs/heads/cut`], capabilities: 'report-status side-band-64k', pack });
  const bytes = encodeRequest({ method: 'POST', target: `${target.path}/git-receive-pack`, headers: { 'content-type': PUSH_TYPE }, body });
  const head = bytes.indexOf('\r\n\r\n') + 4;
  const packAt = bytes.length - pack.length;
  return { bytes, cuts: [
    ['before the first byte', 0], ['in the method', 2], ['in the target', 12], ['in the headers', head - 30], ['before the end of the headers', head - 1],
    ['before the body', head], ['in the first length', head + 2], ['in the command', head + 50], ['before the flush', packAt - 4],
    ['before the pack', packAt], ['in the pack\'s header', packAt + 6], ['in the first object', packAt + 40],
    ['in the middle of the pack', packAt + Math.floor(pack.length / 2)], ['before the checksum', bytes.length - 20], ['before the last byte', bytes.length - 1],
  ] };
}

for (const size of ['small', 'large'] as const) {
  for (const how of ['closes', 'resets'] as const) {
    test.serial(`a client that ${how} its connection anywhere in a ${size} push leaves nothing`, async (t) => {
      const { target } = t.context;
      const { bytes, cuts } = recorded(target, size);
      await target.unharmed(t, async () => {
        for (const [where, at] of cuts) {
          const before = await target.view();
          const socket = open(target.cluster.port);
          await once(socket, 'connect');
          if (at > 0) await new Promise<void>((done) => { socket.write(bytes.subarray(0, at), () => done()); });
          if (how === 'closes') socket.destroy();
          else socket.resetAndDestroy();
          await expectNothingLeft(target.cluster);
          t.is((await target.view()).digest, before.digest, where);
        }
      });
    });
  }

  test.serial(`a client that leaves when it has sent all of a ${size} push finds it done or not, the same on every node`, async (t) => {
    const { target } = t.context;
    const { bytes } = recorded(target, size);
    const before = await target.view();
    const socket = open(target.cluster.port);
    await once(socket, 'connect');
    await new Promise<void>((done) => { socket.write(bytes, () => done()); });
    socket.resetAndDestroy();
    await expectNothingLeft(target.cluster);
    await target.goodPush();
    const after = await target.cluster.converged(target.repository);
    t.true([1, 2].includes(after.generation - before.generation));
  });
}

test.serial('after all of them the replicas are equal and sound', async (t) => {
  await t.context.target.finish(t);
});
