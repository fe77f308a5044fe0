import test from 'ava';
import { TrivetError } from './errors.ts';
import { expectProtocol, PROTOCOL, PROTOCOL_HEADERS, PROTOCOL_HEADER } from './protocol-version.ts';

const OURS = { version: 5, oldest: 3 };

for (const [header, what] of [
  ['5 3', 'the same'], ['4 2', 'an older one that is not too old'], ['3 1', 'the oldest'], ['9 5', 'a newer one that still knows ours'],
] as const) {
  test(`${what} gets on with us`, (t) => t.notThrows(() => expectProtocol(header, OURS)));
}

for (const [header, what] of [['2 1', 'one that is too old'], ['7 6', 'one for which we are too old'], [undefined, 'one that says nothing, once the first is too old']] as const) {
  test(`${what} is refused, and both versions are named`, (t) => {
    const error = t.throws(() => expectProtocol(header, OURS), { instanceOf: TrivetError });
    t.is(error.code, 'version_mismatch');
    t.deepEqual(error.fields['ours'], OURS);
  });
}

test('what is no version is a bad request', (t) => {
  for (const header of ['', '1', '1.0 1', 'x y', '-1 0', '1 1 1']) t.is(t.throws(() => expectProtocol(header), { instanceOf: TrivetError }).code, 'bad_request');
});

test('what we send is what we get on with', (t) => {
  t.notThrows(() => expectProtocol(PROTOCOL_HEADERS[PROTOCOL_HEADER]));
  t.true(PROTOCOL.oldest <= PROTOCOL.version);
});
