import test from 'ava';
import { packet } from './packet-stream.ts';
import { checkReport, encodeCommands, ZERO_OID } from './push.ts';

const band = (number: number, text: string) => packet(String.fromCharCode(number) + text);
const report = (...lines: string[]) => band(1, `${lines.map((line) => packet(`${line}\n`)).join('')}0000`);

test('a report that says ok for every ref passes, progress in between or not', (t) => {
  const text = `${band(2, 'Resolving deltas\r')}${report('unpack ok', 'ok refs/heads/a', 'ok refs/heads/b')}0000`;
  t.notThrows(() => checkReport(Buffer.from(text), ['refs/heads/b', 'refs/heads/a']));
});

for (const [title, text, message] of [
  ['an unpack failure', `${report('unpack no space', 'ng refs/heads/a unpacker error')}0000`, /pack was refused/],
  ['a rejected ref', `${report('unpack ok', 'ng refs/heads/a stale info')}0000`, /ref was refused: ng/],
  ['a ref nobody pushed', `${report('unpack ok', 'ok refs/heads/z')}0000`, /ref was refused: ok/],
  ['a ref left out', `${report('unpack ok')}0000`, /1 refs are not reported/],
  ['an empty response', '', /no end/],
  ['a report without its flush', `${band(1, packet('unpack ok\n') + packet('ok refs/heads/a\n'))}0000`, /no end/],
  ['a fatal side-band', `${band(3, 'out of disk')}0000`, /server failed: out of disk/],
] as const) {
  test(`${title} fails the push`, (t) => {
    t.throws(() => checkReport(Buffer.from(text), ['refs/heads/a']), { message });
  });
}

test('only the first command carries capabilities', (t) => {
  const text = encodeCommands([
    { ref: 'refs/heads/a', old: ZERO_OID, new: '1'.repeat(40) },
    { ref: 'refs/heads/b', old: ZERO_OID, new: '1'.repeat(40) },
  ]).toString();
  t.is(text.split('report-status').length, 2);
  t.true(text.endsWith('refs/heads/b0000'));
});
