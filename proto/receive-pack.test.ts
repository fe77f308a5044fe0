import test from 'ava';
import fc from 'fast-check';
import { ByteReader } from './byte-reader.ts';
import type { ErrorCode } from './errors.ts';
import { isZeroOid, zeroOid, type ObjectFormat } from './object-format.ts';
import { encodePacket, FLUSH, readPacket } from './pkt-line.ts';
import { encodeReport, expectsPack, readPushHead, type PushHead } from './receive-pack.ts';
import { inPieces } from './test-stream.ts';
import type { Command } from './vote.ts';

const LIMITS = { maxCommands: 50, maxPushOptionBytes: 2_000 };
const ZERO = zeroOid('sha1');
const A = 'a'.repeat(40);
const B = 'b'.repeat(40);

function head(bytes: Buffer | string, format: ObjectFormat = 'sha1', sizes: readonly number[] = [1_000]): Promise<PushHead> {
  return readPushHead(new ByteReader(inPieces(Buffer.from(bytes as string), sizes)), format, LIMITS);
}

/** What a client sends before the pack. */
function build(input: { commands: readonly Command[]; capabilities?: readonly string[]; shallow?: readonly string[]; pushOptions?: readonly string[]; newline?: boolean }): Buffer {
  const { commands, capabilities = ['report-status'], shallow = [], pushOptions, newline = true } = input;
  const all = pushOptions === undefined ? capabilities : [...capabilities, 'push-options'];
  return Buffer.concat([
    ...shallow.map((oid) => encodePacket(`shallow ${oid}`)),
    ...commands.map(({ ref, old, new: next }, i) => encodePacket(`${old} ${next} ${ref}${i === 0 ? `\0 ${all.join(' ')}` : ''}${newline ? '\n' : ''}`)),
    FLUSH,
    ...(pushOptions === undefined ? [] : [...pushOptions.map((option) => encodePacket(option)), FLUSH]),
  ]);
}

const oid = (digits: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });
const refName = fc.string({ unit: fc.constantFrom('a', 'b', '/', ' ', '-', 'é', '€', '~'), minLength: 1, maxLength: 30 }).map((text) => `refs/heads/${text}`);

for (const [format, digits] of [['sha1', 40], ['sha256', 64]] as const) {
  test(`everything a client says before its pack is understood, with ${format}`, async (t) => {
    const command = fc.record({ ref: refName, old: oid(digits), new: oid(digits) });
    const push = fc.record({
      commands: fc.uniqueArray(command, { minLength: 1, maxLength: 20, selector: ({ ref }) => ref }),
      capabilities: fc.subarray(['report-status', 'report-status-v2', 'side-band-64k', 'atomic', 'quiet', `object-format=${format}`, 'agent=git/2.39.5']),
      shallow: fc.array(oid(digits), { maxLength: 3 }),
      pushOptions: fc.option(fc.array(fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\n', '')), { maxLength: 4 }), { nil: undefined }),
      newline: fc.boolean(),
    });
    await fc.assert(fc.asyncProperty(push, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), async (input, sizes) => {
      const reader = new ByteReader(inPieces(Buffer.concat([build(input), Buffer.from('PACK')]), sizes));
      const result = await readPushHead(reader, format, LIMITS);
      t.deepEqual(result.commands, input.commands);
      t.deepEqual(result.shallow, input.shallow);
      t.deepEqual(result.pushOptions, input.pushOptions ?? []);
      for (const capability of input.capabilities) t.true(result.capabilities.has(capability));
      t.is((await reader.read(4)).toString(), 'PACK', 'the pack begins where the head ends');
    }), { numRuns: 60 });
  });
}

const line = (text: string | Buffer) => Buffer.concat([encodePacket(text), FLUSH]);
const many = (count: number) => build({ commands: Array.from({ length: count }, (_, i) => ({ ref: `refs/heads/b${i}`, old: ZERO, new: A })) });

const refused: [name: string, bytes: Buffer | string, code: ErrorCode][] = [
  ['an empty body', '', 'body_truncated'],
  ['no end of the commands', encodePacket(`${ZERO} ${A} refs/heads/a\0`), 'body_truncated'],
  ['half a line', encodePacket(`${ZERO} ${A} refs/heads/a\0`).subarray(0, 40), 'body_truncated'],
  ['a malformed length', 'zzzz', 'bad_pkt_line'],
  ['a delimiter among the commands', '0001', 'bad_command'],
  ['an end of response among the commands', '0002', 'bad_command'],
  ['an empty line', '00040000', 'bad_command'],
  ['a word', line('nonsense'), 'bad_command'],
  ['no ref', line(`${ZERO} ${A}`), 'bad_command'],
  ['an empty ref', line(`${ZERO} ${A} `), 'bad_command'],
  ['two spaces between the ids', line(`${ZERO}  ${A} refs/heads/a`), 'bad_command'],
  ['a short id', line(`${ZERO.slice(1)} ${A} refs/heads/a`), 'bad_command'],
  ['a long id', line(`${ZERO} ${A}a refs/heads/a`), 'bad_command'],
  ['an id in capitals', line(`${ZERO} ${A.toUpperCase()} refs/heads/a`), 'bad_command'],
  ['an id that is not hexadecimal', line(`${ZERO} ${'g'.repeat(40)} refs/heads/a`), 'bad_command'],
  ['ids of the other object format', line(`${zeroOid('sha256')} ${'a'.repeat(64)} refs/heads/a`), 'bad_command'],
  ['another object format', line(`${ZERO} ${A} refs/heads/a\0report-status object-format=sha256`), 'object_format_mismatch'],
  ['a ref that is not UTF-8', line(Buffer.from(`${ZERO} ${A} refs/heads/\xff\xfe`, 'latin1')), 'bad_command'],
  ['a ref of overlong UTF-8', line(Buffer.from(`${ZERO} ${A} refs/heads/\xc0\xae`, 'latin1')), 'bad_command'],
  ['a ref in half a surrogate pair', line(Buffer.from(`${ZERO} ${A} refs/heads/\xed\xa0\x80`, 'latin1')), 'bad_command'],
  ['a ref longer than a vote can carry', line(`${ZERO} ${A} refs/heads/${'x'.repeat(4_000)}`), 'bad_command'],
  ['a ref named twice', build({ commands: [{ ref: 'refs/heads/a', old: ZERO, new: A }, { ref: 'refs/heads/a', old: A, new: B }] }), 'duplicate_ref'],
  ['one command too many', many(LIMITS.maxCommands + 1), 'too_many_commands'],
  ['a malformed shallow line', line('shallow 123'), 'bad_command'],
  ['a signed push', line('push-cert\0report-status'), 'bad_command'],
  ['push options without an end', build({ commands: [{ ref: 'refs/heads/a', old: ZERO, new: A }], pushOptions: ['a'] }).subarray(0, -4), 'body_truncated'],
  ['push options with a delimiter', Buffer.concat([build({ commands: [{ ref: 'refs/heads/a', old: ZERO, new: A }], pushOptions: [] }).subarray(0, -4), Buffer.from('0001')]), 'bad_command'],
  ['push options that are too long', build({ commands: [{ ref: 'refs/heads/a', old: ZERO, new: A }], pushOptions: ['x'.repeat(LIMITS.maxPushOptionBytes)] }), 'body_too_large'],
  ['push options without end and without content', build({ commands: [{ ref: 'refs/heads/a', old: ZERO, new: A }], pushOptions: Array<string>(LIMITS.maxPushOptionBytes).fill('') }), 'body_too_large'],
];

for (const [name, bytes, code] of refused) {
  test(`${name} is refused as ${code}`, async (t) => {
    t.like(await t.throwsAsync(head(bytes)), { code });
  });
}

test('as many commands as allowed are taken', async (t) => {
  t.is((await head(many(LIMITS.maxCommands))).commands.length, LIMITS.maxCommands);
});

test('commands without an end stop at the limit instead of filling the memory', async (t) => {
  let given = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) yield encodePacket(`${ZERO} ${A} refs/heads/b${given++}`);
  }
  t.like(await t.throwsAsync(readPushHead(new ByteReader(endless()), 'sha1', LIMITS)), { code: 'too_many_commands' });
  t.is(given, LIMITS.maxCommands + 1);
});

test('push options without an end stop at the limit even when each is empty', async (t) => {
  let given = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    yield encodePacket(`${ZERO} ${A} refs/heads/a\0push-options`);
    yield FLUSH;
    for (;;) {
      given += 1;
      yield Buffer.from('0004');
    }
  }
  t.like(await t.throwsAsync(readPushHead(new ByteReader(endless()), 'sha1', LIMITS)), { code: 'body_too_large' });
  t.is(given, LIMITS.maxPushOptionBytes / 4 + 1);
});

test('a flush alone has no commands', async (t) => {
  t.deepEqual(await head('0000'), { commands: [], capabilities: new Set(), shallow: [], pushOptions: [] });
});

test('refs that differ in case only are two refs', async (t) => {
  const commands = [{ ref: 'refs/heads/a', old: ZERO, new: A }, { ref: 'refs/heads/A', old: ZERO, new: A }];
  t.deepEqual((await head(build({ commands }))).commands, commands);
});

test('capabilities are what the first command says, and no later one', async (t) => {
  const bytes = Buffer.concat([
    encodePacket(`${ZERO} ${A} refs/heads/a\0report-status\n`), encodePacket(`${ZERO} ${A} refs/heads/b\0atomic\n`), FLUSH,
  ]);
  const result = await head(bytes);
  t.deepEqual([...result.capabilities], ['report-status']);
  t.deepEqual(result.commands.map(({ ref }) => ref), ['refs/heads/a', 'refs/heads/b']);
});

test('push options are only read when they were announced', async (t) => {
  const reader = new ByteReader(inPieces(Buffer.concat([build({ commands: [{ ref: 'refs/heads/a', old: ZERO, new: A }] }), Buffer.from('PACK')]), [7]));
  t.deepEqual((await readPushHead(reader, 'sha1', LIMITS)).pushOptions, []);
  t.is((await reader.read(4)).toString(), 'PACK');
});

test('a pack is expected unless every command deletes', (t) => {
  const deletion = { ref: 'refs/heads/a', old: A, new: ZERO };
  t.false(expectsPack([deletion]));
  t.true(expectsPack([deletion, { ref: 'refs/heads/b', old: ZERO, new: A }]));
  t.true(isZeroOid(deletion.new));
});

const commands: Command[] = [{ ref: 'refs/heads/a', old: ZERO, new: A }, { ref: 'refs/heads/b', old: A, new: B }];
const verdicts = ['ok', 'non-fast-forward'];
const lines = ['unpack ok\n', 'ok refs/heads/a\n', 'ng refs/heads/b non-fast-forward\n'];

test('a report names every ref with its verdict', (t) => {
  for (const capability of ['report-status', 'report-status-v2']) {
    t.deepEqual(encodeReport(new Set([capability]), 'ok', commands, verdicts), Buffer.concat([...lines.map((text) => encodePacket(text)), FLUSH]));
  }
});

test('a report comes in side-band channel 1 when the client can take it', async (t) => {
  const reader = new ByteReader(inPieces(encodeReport(new Set(['report-status', 'side-band-64k']), 'ok', commands, verdicts), [11]));
  const packet = await readPacket(reader);
  const inner = Buffer.concat([Buffer.from([1]), ...lines.map((text) => encodePacket(text)), FLUSH]);
  t.deepEqual(packet, { type: 'data', payload: inner });
  t.deepEqual(await readPacket(reader), { type: 'flush' });
  t.true(await reader.atEnd());
});

test('a client that wants no report gets none', (t) => {
  t.is(encodeReport(new Set(), 'ok', commands, verdicts).length, 0);
  t.deepEqual(encodeReport(new Set(['side-band-64k']), 'ok', commands, verdicts), FLUSH);
});
