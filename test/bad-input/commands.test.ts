import anyTest, { type TestFn } from 'ava';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { buildPack, idOf, whole } from '../../replica/quarantine/test-pack.ts';
import { pushBody, soundHistory, Target, ZERO } from './target.ts';

const test = anyTest as TestFn<{ target: Target }>;
const MAX_COMMANDS = 20;
const MAX_OPTION_BYTES = 1_024;

test.before(async (t) => {
  t.context = { target: await Target.start({ environment: {
    TRIVET_MAX_COMMANDS: String(MAX_COMMANDS), TRIVET_MAX_PUSH_OPTION_BYTES: String(MAX_OPTION_BYTES), TRIVET_MAX_PUSH_BYTES: '2000000',
  } }) };
});
test.after.always(async (t) => { await t.context.target.cluster.stop(); });

const { tip, objects } = soundHistory('never on a branch');
const pack = buildPack(objects.map(whole), 'sha1');
const [, tree, blob] = objects;
const good = `${ZERO} ${tip} refs/heads/bad`;
const raw = (text: string | Buffer) => Buffer.concat([encodePacket(text), FLUSH, pack]);

interface Malformed {
  name: string;
  body: Buffer;
  status: number;
  says: RegExp;
}

const malformed: Malformed[] = [
  { name: 'an empty body', body: Buffer.alloc(0), status: 400, says: /ended too early/ },
  { name: 'half a length', body: Buffer.from('00'), status: 400, says: /ended too early/ },
  { name: 'a length that is no number', body: Buffer.from('wxyz'.repeat(5_000)), status: 400, says: /malformed pkt-line/ },
  { name: 'a length of three', body: Buffer.from('0003'), status: 400, says: /malformed pkt-line/ },
  { name: 'a length beyond the longest', body: Buffer.concat([Buffer.from('ffff'), Buffer.alloc(70_000, 'x')]), status: 400, says: /malformed pkt-line/ },
  { name: 'a line shorter than its length', body: Buffer.from('00ffshort'), status: 400, says: /ended too early/ },
  { name: 'commands without an end', body: encodePacket(`${good}\0report-status`), status: 400, says: /ended too early/ },
  { name: 'a delimiter in place of the end', body: Buffer.concat([encodePacket(`${good}\0report-status`), Buffer.from('0001'), pack]), status: 400, says: /malformed ref update command/ },
  { name: 'a pack without commands', body: pack, status: 400, says: /malformed pkt-line/ },
  { name: 'a pack behind an empty list of commands', body: Buffer.concat([FLUSH, pack]), status: 400, says: /goes on after its end/ },
  { name: 'empty lines without an end', body: Buffer.from('0004'.repeat(100_000)), status: 400, says: /malformed ref update command/ },
  { name: 'a line of zeros without an end', body: Buffer.alloc(1_000_000, 0), status: 400, says: /malformed pkt-line/ },
  { name: 'too many commands', body: pushBody({ commands: Array.from({ length: MAX_COMMANDS + 1 }, (_, i) => `${ZERO} ${tip} refs/heads/b${i}`), pack }), status: 413, says: /too many ref updates in one push\n {2}limit: 20/ },
  { name: 'a ref named twice', body: pushBody({ commands: [good, good], pack }), status: 400, says: /a ref is named twice in one push\n {2}ref: refs\/heads\/bad/ },
  { name: 'a ref created and deleted at once', body: pushBody({ commands: [good, `${tip} ${ZERO} refs/heads/bad`], pack }), status: 400, says: /named twice/ },
  { name: 'an id that is too short', body: raw(`${ZERO} ${tip.slice(1)} refs/heads/bad`), status: 400, says: /malformed ref update command/ },
  { name: 'an id in capitals', body: raw(`${ZERO} ${tip.toUpperCase()} refs/heads/bad`), status: 400, says: /malformed ref update command/ },
  { name: 'an id that is a path', body: raw(`${ZERO} ${'../'.repeat(13)}x refs/heads/bad`), status: 400, says: /malformed ref update command/ },
  { name: 'an id of sha256', body: raw(`${ZERO} ${'a'.repeat(64)} refs/heads/bad`), status: 400, says: /malformed ref update command/ },
  { name: 'a client that speaks sha256', body: pushBody({ commands: [good], capabilities: 'report-status object-format=sha256', pack }), status: 400, says: /another object format/ },
  { name: 'a ref that is not UTF-8', body: raw(Buffer.from(`${ZERO} ${tip} refs/heads/\xff`, 'latin1')), status: 400, says: /malformed ref update command\n {2}problem: not UTF-8/ },
  { name: 'a ref of overlong UTF-8', body: raw(Buffer.from(`${ZERO} ${tip} refs/heads/\xc0\xae\xc0\xae/x`, 'latin1')), status: 400, says: /not UTF-8/ },
  { name: 'a ref longer than any file system holds', body: raw(`${ZERO} ${tip} refs/heads/${'x'.repeat(60_000)}`), status: 400, says: /malformed ref update command/ },
  { name: 'a signed push', body: Buffer.concat([encodePacket('push-cert\0report-status'), FLUSH, pack]), status: 400, says: /malformed ref update command/ },
  { name: 'a malformed shallow line', body: raw('shallow here'), status: 400, says: /malformed ref update command/ },
  { name: 'push options without an end', body: Buffer.concat([encodePacket(`${good}\0report-status push-options`), FLUSH, encodePacket('a=b')]), status: 400, says: /ended too early/ },
  { name: 'push options that are too large', body: Buffer.concat([encodePacket(`${good}\0report-status push-options`), FLUSH, encodePacket('x'.repeat(MAX_OPTION_BYTES)), FLUSH, pack]), status: 413, says: /larger than this server accepts\n {2}what: push options/ },
  { name: 'a million empty push options', body: Buffer.concat([encodePacket(`${good}\0report-status push-options`), FLUSH, Buffer.from('0004'.repeat(400_000))]), status: 413, says: /what: push options/ },
  { name: 'a pack in place of the push options', body: Buffer.concat([encodePacket(`${good}\0report-status push-options`), FLUSH, pack]), status: 400, says: /malformed pkt-line/ },
];

for (const { name, body, status, says } of malformed) {
  test.serial(`${name} is refused with ${status}`, async (t) => {
    const { target } = t.context;
    await target.unharmed(t, async () => {
      const answer = await target.push(body);
      t.is(answer.status, status, answer.body);
      t.regex(answer.body, says);
      t.regex(answer.headers.get('content-type') ?? '', /^text\/plain/);
    });
  });
}

interface Refused {
  name: string;
  commands: (string | Buffer)[];
  pack?: Buffer;
  says: RegExp;
}

const funny = [
  'refs/heads/a..b', 'refs/heads/.a', 'refs/heads/a.lock', 'refs/heads/a b', 'refs/heads/a~1', 'refs/heads/a^', 'refs/heads/a:b', 'refs/heads/a?',
  'refs/heads/a*', 'refs/heads/[a', 'refs/heads/a\\b', 'refs/heads/a@{1}', 'refs/heads/', 'refs/heads//a', 'refs/heads/a/', 'refs/heads/../../HEAD',
  'refs/../HEAD', '../../x', '/etc/passwd', 'HEAD', 'config', 'refs', 'heads/main', 'refs/heads/\x7f', 'refs/heads/\x01', 'refs/heads/a\nok refs/heads/b',
  `refs/heads/${'x'.repeat(255)}`, `refs/heads/${'x/'.repeat(1_000)}x`,
];

const refused: Refused[] = [
  ...funny.map((ref): Refused => ({ name: `the ref name ${JSON.stringify(ref.slice(0, 40))}`, commands: [`${ZERO} ${tip} ${ref}`], says: /funny refname/ })),
  { name: 'a ref of the server\'s own', commands: [`${ZERO} ${tip} refs/trivet/x`], says: /deny updating a hidden ref/ },
  { name: 'a new value that is nowhere', commands: [`${ZERO} ${'ab'.repeat(20)} refs/heads/bad`], says: /missing necessary objects/ },
  { name: 'a branch that is to be a blob', commands: [`${ZERO} ${idOf(blob!, 'sha1')} refs/heads/bad`], says: /a branch can only point at a commit/ },
  { name: 'a branch that is to be a tree', commands: [`${ZERO} ${idOf(tree!, 'sha1')} refs/heads/bad`], says: /a branch can only point at a commit/ },
  { name: 'an old value that is wrong', commands: [`${'cd'.repeat(20)} ${tip} refs/heads/base`], says: /incorrect old value|ng refs\/heads\/base/ },
  { name: 'a creation of what is there', commands: [`${ZERO} ${tip} refs/heads/base`], says: /ng refs\/heads\/base/ },
  { name: 'an update of what is not there', commands: [`${'cd'.repeat(20)} ${tip} refs/heads/nowhere`], says: /ng refs\/heads\/nowhere/ },
  { name: 'a deletion of what is not there at that value', commands: [`${'cd'.repeat(20)} ${ZERO} refs/heads/base`], pack: Buffer.alloc(0), says: /ng refs\/heads\/base/ },
  { name: 'a file where a directory is', commands: [`${ZERO} ${tip} refs/heads`, `${ZERO} ${tip} refs/heads/base/below`], says: /ng refs\/heads\/base\/below/ },
];

for (const { name, commands, says, pack: own = pack } of refused) {
  test.serial(`${name} is refused in the report`, async (t) => {
    const { target } = t.context;
    await target.unharmed(t, async () => {
      const answer = await target.push(pushBody({ commands, pack: own }));
      t.is(answer.status, 200, answer.body);
      t.regex(answer.body, says);
      t.notRegex(answer.body, /^.{4}ok /m);
    });
  });
}

test.serial('an atomic push with one bad ref moves none', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const answer = await target.push(pushBody({ commands: [good, `${ZERO} ${tip} refs/heads/a..b`], capabilities: 'report-status atomic', pack }));
    t.regex(answer.body, /ng refs\/heads\/bad atomic transaction failed/);
    t.regex(answer.body, /ng refs\/heads\/a\.\.b funny refname/);
  });
});

test.serial('after all of them the replicas are equal and sound', async (t) => {
  await t.context.target.finish(t);
});
