import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import anyTest, { type TestFn } from 'ava';
import { buildPack, whole } from '../../replica/quarantine/test-pack.ts';
import { ask, encodeRequest, exchange, open, received, type RawRequest } from './raw-http.ts';
import { PUSH_TYPE, pushBody, soundHistory, Target, ZERO } from './target.ts';

const test = anyTest as TestFn<{ target: Target }>;

test.before(async (t) => {
  t.context = { target: await Target.start({ environment: {
    TRIVET_BODY_IDLE_MS: '1000', TRIVET_MAX_PUSH_BYTES: '2000000', TRIVET_MAX_FETCH_REQUEST_BYTES: '65536',
    // Nodes judge a pack only at its end, so that it is the controller's limit that a bomb meets, however fast they are.
    TRIVET_SMALL_PACK_BYTES: '4000000',
  } }) };
});
test.after.always(async (t) => { await t.context.target.cluster.stop(); });

const { tip, objects } = soundHistory('never accepted');
const body = pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`], pack: buildPack(objects.map(whole), 'sha1') });
const gzip = gzipSync(body);
const damaged = Buffer.from(gzip);
damaged[gzip.length - 6]! ^= 1;
const PUSH = '/git/target.git/git-receive-pack';
const FETCH = '/git/target.git/git-upload-pack';
const FETCH_TYPE = 'application/x-git-upload-pack-request';
const push = (headers: Record<string, string | number>, bytes: Buffer = body): RawRequest => ({
  method: 'POST', target: PUSH, headers: { 'content-type': PUSH_TYPE, ...headers }, body: bytes,
});
const fetchPack = (bytes: Buffer, headers: Record<string, string | number> = {}): RawRequest => ({
  method: 'POST', target: FETCH, headers: { 'content-type': FETCH_TYPE, ...headers }, body: bytes,
});
const get = (target: string): RawRequest => ({ target });
const refs = (repository: string) => get(`/git/${repository}/info/refs?service=git-upload-pack`);

const requests: [name: string, request: RawRequest, status: number, says: RegExp][] = [
  // bodies
  ['a push of another content type', push({ 'content-type': 'text/plain' }), 415, /wrong content type for this git service\n {2}expected: application\/x-git-receive-pack-request/],
  ['a push without a content type', { method: 'POST', target: PUSH, body }, 415, /wrong content type/],
  ['a push with the content type of a fetch', push({ 'content-type': FETCH_TYPE }), 415, /wrong content type/],
  ['a push as JSON', push({ 'content-type': 'application/json' }, Buffer.from('{}')), 415, /wrong content type/],
  ['a push in brotli', push({ 'content-encoding': 'br' }), 415, /only gzip and identity content encodings/],
  ['a push in deflate', push({ 'content-encoding': 'deflate' }), 415, /only gzip and identity/],
  ['a push in gzip twice', push({ 'content-encoding': 'gzip, gzip' }, gzipSync(gzip)), 415, /only gzip and identity/],
  ['a push that is no gzip but says so', push({ 'content-encoding': 'gzip' }), 400, /not valid gzip/],
  ['a push in gzip that is cut', push({ 'content-encoding': 'gzip' }, gzip.subarray(0, -9)), 400, /not valid gzip|ended too early/],
  ['a push in gzip with a wrong checksum', push({ 'content-encoding': 'gzip' }, damaged), 400, /not valid gzip/],
  ['a push that is a gzip bomb', push({ 'content-encoding': 'gzip' }, gzipSync(Buffer.concat([body.subarray(0, -20), Buffer.alloc(300_000_000)]), { level: 1 })), 413, /larger than this server accepts/],
  ['a fetch that is a gzip bomb', fetchPack(gzipSync(Buffer.alloc(100_000_000), { level: 1 }), { 'content-encoding': 'gzip' }), 413, /larger than this server accepts\n {2}limit: 65536/],
  ['a fetch that is too large', fetchPack(randomBytes(500_000)), 413, /larger than this server accepts/],
  ['a fetch of nonsense', fetchPack(Buffer.from('nonsense')), 400, /malformed pkt-line|documented form/],
  ['a fetch of an unknown object', fetchPack(Buffer.from(`0032want ${'ab'.repeat(20)}\n00000009done\n`)), 200, /^....ERR upload-pack: not our ref/],
  ['a fetch of another content type', { method: 'POST', target: FETCH, headers: { 'content-type': PUSH_TYPE }, body: '0000' }, 415, /wrong content type/],
  ['a push to a repository that is not there', { ...push({}), target: '/git/nowhere.git/git-receive-pack' }, 404, /no such repository\n {2}repository: nowhere/],
  ['a fetch from a repository that is not there', { ...fetchPack(Buffer.from('0000')), target: '/git/nowhere.git/git-upload-pack' }, 404, /no such repository/],
  ['a push in malformed chunks', { method: 'POST', target: PUSH, headers: { 'content-type': PUSH_TYPE, 'transfer-encoding': 'chunked' }, body: '5\r\nabcde\r\nzz\r\n' }, 400, /./],
  ['both a length and chunks', { method: 'POST', target: PUSH, headers: { 'content-type': PUSH_TYPE, 'transfer-encoding': 'chunked', 'content-length': 4 }, body: '0\r\n\r\n' }, 400, /./],
  ['a length that is no number', push({ 'content-length': 'many' }), 400, /./],
  ['a negative length', push({ 'content-length': '-5' }), 400, /./],
  ['two lengths', push({ 'content-length': body.length, 'Content-Length': 5 }), 400, /./],
  ['headers without an end', { target: '/healthz', headers: { x: 'y'.repeat(40_000) } }, 431, /./],
  // services
  ['a service that is none', get('/git/target.git/info/refs?service=git-nothing'), 403, /unknown git service\n {2}service: git-nothing/],
  ['a service named twice', get('/git/target.git/info/refs?service=git-upload-pack&service=git-receive-pack'), 403, /unknown git service/],
  ['an empty service', get('/git/target.git/info/refs?service='), 403, /unknown git service/],
  ['the archive service', { method: 'POST', target: '/git/target.git/git-upload-archive' }, 404, /no such resource/],
  ['the dumb protocol', get('/git/target.git/info/refs'), 403, /dumb HTTP protocol is not supported/],
  ['the dumb protocol\'s HEAD', get('/git/target.git/HEAD'), 403, /dumb HTTP protocol/],
  ['the dumb protocol\'s packs', get('/git/target.git/objects/info/packs'), 403, /dumb HTTP protocol/],
  ['the dumb protocol\'s objects', get(`/git/target.git/objects/${tip.slice(0, 2)}/${tip.slice(2)}`), 403, /dumb HTTP protocol/],
  ['a repository\'s configuration', get('/git/target.git/config'), 404, /no such resource/],
  ['a repository\'s refs as files', get('/git/target.git/refs/heads/base'), 404, /no such resource/],
  // methods
  ['a push with GET', get(PUSH), 405, /method is not allowed/],
  ['a push with PUT', { ...push({}), method: 'PUT' }, 405, /method is not allowed/],
  ['refs with POST', { method: 'POST', target: '/git/target.git/info/refs?service=git-upload-pack', body: '' }, 405, /method is not allowed/],
  ['refs with DELETE', { method: 'DELETE', target: '/git/target.git/info/refs?service=git-upload-pack' }, 405, /method is not allowed/],
  ['a fetch with PATCH', { ...fetchPack(Buffer.from('0000')), method: 'PATCH' }, 405, /method is not allowed/],
  ['a method of nobody', { method: 'BREW', target: PUSH }, 400, /./],
  ['PUT where a repository is created', { method: 'PUT', target: '/api/repos/x' }, 404, /no such resource/],
  ['a change of the nodes', { method: 'DELETE', target: '/api/nodes' }, 404, /no such resource/],
  // names
  ['a repository that is not there', refs('nowhere.git'), 404, /no such repository/],
  ['a repository in other case', refs('TARGET.git'), 404, /no such repository/],
  ...['..', '.', 'a/../b', '%2e%2e', '%2e%2e/x', '..%2f..%2fetc', '%252e%252e', '%2e%2e%2f', 'a%00', '%c0%ae%c0%ae', '%e0%80%ae', '%ef%bc%8e', '..%5c..%5cx', '..\\..\\x',
    '%', '%zz', 'target.git.git', '.git', '', '/target', 'target/', 'target%0d%0aX: y', '%2ftarget', 'a b', 'x'.repeat(300)].map((name): [string, RawRequest, number, RegExp] => (
    [`the repository name ${JSON.stringify(name.slice(0, 30))}`, refs(name.replaceAll(' ', '%20')), 400, /not a valid repository name|not a valid url/])),
  ['a path that leaves /git/', get('/git/../api/repos'), 404, /no such resource/],
  ['/git/ in another spelling', get('/%67it/target.git/info/refs?service=git-upload-pack'), 404, /no such resource/],
  ['/api/ in another spelling', get('/%61pi/repos/target'), 404, /no such resource/],
  ['two slashes at the front', get('//git/target.git/info/refs?service=git-upload-pack'), 404, /no such resource/],
  ['a star', get('*'), 404, /no such resource/],
  ['another server\'s URL that is none of ours', get('http://example.org/etc/passwd'), 404, /no such resource/],
  ...['..', '%2e%2e', '%252e', 'a%2f..%2fb', 'a%00', '%c0%ae', 'a\\b', 'a.git.git', '', 'a/', '%ff', '-a', 'x'.repeat(300)].flatMap((name): [string, RawRequest, number, RegExp][] => (
    ['GET', 'POST', 'DELETE'].map((method) => [`${method} of the repository ${JSON.stringify(name.slice(0, 30))}`, { method, target: `/api/repos/${name}` }, 400, /"bad_repository_name"|"bad_request".*not a valid url/]))),
  // REST bodies
  ...([
    ['invalid JSON', '{"defaultBranch":', 400], ['no JSON at all', 'defaultBranch=main', 400], ['a number', '5', 400], ['an array', '[]', 400], ['a text', '"main"', 400],
    ['an unknown field', '{"default":"main"}', 400], ['a known field in other case', '{"defaultbranch":"main"}', 400], ['a number for a text', '{"defaultBranch":5}', 400],
    ['a text for a number', '{"replicationFactor":"3"}', 400], ['a text for a boolean', '{"denyDeletes":"true"}', 400], ['null for a text', '{"defaultBranch":null}', 400],
    ['no replicas', '{"replicationFactor":0}', 400], ['half a replica', '{"replicationFactor":2.5}', 400], ['too many replicas', '{"replicationFactor":10}', 400],
    ['a hash of nobody', '{"objectFormat":"md5"}', 400], ['a branch that is none', '{"defaultBranch":"a..b"}', 400], ['an empty branch', '{"defaultBranch":""}', 400],
    ['a branch with a line break', '{"defaultBranch":"a\\nb"}', 400], ['a tag for a branch', '{"defaultBranch":"refs/tags/../heads"}', 400],
    ['a poisoned prototype', '{"__proto__":{"defaultBranch":"x"}}', 400], ['a poisoned constructor', '{"constructor":{"prototype":{}}}', 400],
    ['more nodes than there are', '{"replicationFactor":5}', 503], ['huge JSON', `{"defaultBranch":"${'x'.repeat(100_000)}"}`, 413], ['deep JSON', '['.repeat(30_000), 400],
  ] as const).map(([name, json, status]): [string, RawRequest, number, RegExp] => (
    [`${name} in a creation`, { method: 'POST', target: '/api/repos/never', headers: { 'content-type': 'application/json' }, body: json }, status,
      status === 400 ? /bad_request/ : status === 413 ? /body_too_large/ : /not_enough_nodes/])),
  ['a creation of another content type', { method: 'POST', target: '/api/repos/never', headers: { 'content-type': 'text/plain' }, body: '{}' }, 415, /wrong_content_type/],
  ['a creation of what exists', { method: 'POST', target: '/api/repos/target' }, 409, /repository_exists/],
  ['a creation with a body but no content type', { method: 'POST', target: '/api/repos/never', body: '{}' }, 415, /wrong_content_type/],
  ['a list with an unknown parameter', get('/api/repos?page=2'), 400, /bad_request/],
  ['a list of none', get('/api/repos?limit=0'), 400, /bad_request/],
  ['a list of a negative number', get('/api/repos?limit=-1'), 400, /bad_request/],
  ['a list of a word', get('/api/repos?limit=all'), 400, /bad_request/],
  ['a list of two limits', get('/api/repos?limit=1&limit=2'), 400, /bad_request/],
  // what only nodes may ask
  ...['/internal/handshake', '/internal/report', '/internal/settle'].flatMap((target): [string, RawRequest, number, RegExp][] => [
    [`${target} without the token`, { method: 'POST', target, headers: { 'content-type': 'application/json' }, body: '{}' }, 401, /unauthorized/],
    [`${target} with a wrong token`, { method: 'POST', target, headers: { 'content-type': 'application/json', authorization: `Bearer ${'x'.repeat(48)}` }, body: '{}' }, 401, /unauthorized/],
    [`${target} with an empty token`, { method: 'POST', target, headers: { 'content-type': 'application/json', authorization: 'Bearer ' }, body: '{}' }, 401, /unauthorized/],
  ]),
];

for (const [name, request, status, says] of requests) {
  test.serial(`${name} is answered with ${status}`, async (t) => {
    const { target } = t.context;
    await target.unharmed(t, async () => {
      const answer = await target.ask(request);
      t.is(answer.status, status, answer.body);
      t.regex(answer.body, says);
      t.notRegex(answer.body, /node_modules|\.ts:|\/tmp\//, 'nothing of the server\'s inside is told');
    });
  });
}

test.serial('a request line with a whole URL is served like its path', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const path = '/git/target.git/info/refs?service=git-upload-pack';
    const [plain, whole] = [await target.ask(get(path)), await target.ask(get(`http://trivet.example:80${path}`))];
    t.is(whole.status, 200);
    t.is(whole.body, plain.body);
    t.is((await target.ask(get('http://trivet.example/api/repos/target'))).status, 200);
  });
});

test.serial('a body longer than its length is no request and no push', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const answer = await target.ask(push({ 'content-length': body.length - 5 }));
    // The push was cut by its own length; what is too much is the beginning of a request that is none.
    t.true(answer.status === 400 || (answer.status === 200 && answer.body.includes('ng refs/heads/bad')), answer.body);
  });
});

test.serial('a body shorter than its length is waited for no longer than the setting says', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    for (const [request, says] of [[push({ 'content-length': body.length + 5 }), /came too slowly/], [push({ 'content-length': 999, 'content-encoding': 'gzip' }, gzip.subarray(0, 30)), /came too slowly/],
      [fetchPack(Buffer.from('0032'), { 'content-length': 500 }), /came too slowly/]] as const) {
      const answer = await target.ask(request);
      t.is(answer.status, 408);
      t.regex(answer.body, says);
    }
  });
});

test.serial('the rest of a refused body is read, so that the next request on the connection is answered', async (t) => {
  const { target } = t.context;
  const next = encodeRequest({ target: '/healthz' });
  const keep = { connection: 'keep-alive' };
  const big = randomBytes(8_000_000);
  await target.unharmed(t, async () => {
    for (const refused of [
      push(keep, Buffer.concat([Buffer.from('nonsense'), big])),
      push(keep, Buffer.concat([pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`] }), Buffer.from('PACK\0\0\0\x02\0\0\0\x05', 'latin1'), big.subarray(0, 1_900_000)])),
      { ...push(keep, big), target: '/git/nowhere.git/git-receive-pack' },
      fetchPack(big, keep),
    ]) {
      const socket = open(target.cluster.port);
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      const closed = new Promise((done) => { socket.once('close', done); });
      socket.write(Buffer.concat([encodeRequest(refused), next]));
      await closed;
      t.is(Buffer.concat(chunks).toString('latin1').match(/HTTP\/1\.1 \d/g)?.length, 2, Buffer.concat(chunks).toString('latin1'));
      t.regex(Buffer.concat(chunks).toString('latin1'), /\{"status":"ok"\}$/);
    }
  });
});

test.serial('a name that differs from another in case only is refused, says which, and leads nowhere', async (t) => {
  const { target } = t.context;
  await target.cluster.create('Case');
  const response = await fetch(`${target.cluster.url}/api/repos/case`, { method: 'POST' });
  t.is(response.status, 409);
  t.like(await response.json(), { code: 'repository_exists', fields: { existing: 'Case' } });
  const answer = await target.ask({ ...push({}), target: '/git/case.git/git-receive-pack' });
  t.is(answer.status, 404);
  t.is((await target.cluster.show('Case')).generation, 0);
});

test.serial('a node tells nothing to whoever has no token, but its health and its metrics', async (t) => {
  const { target } = t.context;
  const { cluster } = target;
  const { id } = await target.view();
  const token = await cluster.token();
  await target.unharmed(t, async () => {
    for (const node of cluster.nodeNames()) {
      const port = Number(new URL(cluster.partUrl(node)).port);
      for (const [method, path] of [
        ['GET', '/status'], ['GET', `/repositories/${id}/refs`], ['GET', `/repositories/${id}/info/refs?service=git-upload-pack`], ['POST', `/repositories/${id}/git-upload-pack`],
        ['PUT', `/repositories/${id}`], ['DELETE', `/repositories/${id}`], ['POST', `/repositories/${id}/vote`], ['POST', `/repositories/${id}/prepare`],
        ['POST', `/repositories/${id}/commit`], ['POST', `/repositories/${id}/abort`], ['POST', `/repositories/${id}/repair`],
      ] as const) {
        for (const authorization of ['', 'Bearer', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `bearer ${token}`, `Basic ${token}`, token]) {
          const answer = await ask(port, { method, target: path, headers: authorization === '' ? {} : { authorization } });
          t.is(answer.status, 401, `${method} ${path} with "${authorization}"`);
        }
      }
      for (const path of ['/healthz', '/readyz', '/metrics']) t.is((await ask(port, { target: path })).status, 200);
      t.is((await ask(port, { target: '/status', headers: { authorization: `Bearer ${token}` } })).status, 200);
    }
  });
});

test.serial('a node refuses malformed messages though they carry the token', async (t) => {
  const { target } = t.context;
  const { cluster } = target;
  const { id } = await target.view();
  const headers = { authorization: `Bearer ${await cluster.token()}` };
  const port = Number(new URL(cluster.partUrl('node1')).port);
  const frame = (json: string) => { const length = Buffer.alloc(4); length.writeUInt32BE(json.length); return Buffer.concat([length, Buffer.from(json)]); };
  const vote = (bytes: Buffer): RawRequest => ({ method: 'POST', target: `/repositories/${id}/vote`, headers: { 'content-type': 'application/x-trivet-vote' }, body: bytes });
  const json = (path: string, text: string): RawRequest => ({ method: 'POST', target: `/repositories/${id}/${path}`, headers: { 'content-type': 'application/json' }, body: text });
  await target.unharmed(t, async () => {
    for (const request of [
      { method: 'POST', target: `/repositories/${id}/vote` }, vote(Buffer.alloc(0)), vote(Buffer.from([0, 0])), vote(Buffer.from([255, 255, 255, 255])), vote(frame('{')), vote(frame('{}')), vote(frame('null')),
      { method: 'POST', target: '/repositories/..%2f..%2fx/vote', headers: { 'content-type': 'application/x-trivet-vote' }, body: '' },
      json('prepare', '{}'), json('commit', '{"batch":"../x"}'), json('abort', '{"transactions":[5]}'), json('repair', '{"round":"all"}'),
      { method: 'GET', target: '/repositories/x/refs' }, { method: 'PUT', target: '/repositories/..%2fx', headers: { 'content-type': 'application/json' }, body: '{"objectFormat":"sha1","head":"refs/heads/main"}' },
      { method: 'PUT', target: `/repositories/${'a'.repeat(32)}`, headers: { 'content-type': 'application/json' }, body: '{"objectFormat":"sha1","head":"../../x"}' },
    ] as RawRequest[]) {
      const answer = await ask(port, { ...request, headers: { ...request.headers, ...headers } });
      t.true(answer.status >= 400 && answer.status < 500, `${request.target} ${String(request.body)}: ${answer.status} ${answer.body}`);
    }
  });
});

test.serial('bytes that are no HTTP are answered with 400 and the connection is closed', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    for (const bytes of ['\x16\x03\x01\x02\x00\x01\x00', 'GET\r\n\r\n', '\0\0\0\0\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'git-upload-pack /target.git\0host=x\0\r\n\r\n']) {
      t.is((await exchange(target.cluster.port, Buffer.from(bytes, 'latin1'))).status, 400, JSON.stringify(bytes));
    }
  });
});

test.serial('a client that asks and does not listen holds nothing', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const sockets = Array.from({ length: 20 }, () => open(target.cluster.port));
    for (const socket of sockets) socket.pause().write(encodeRequest({ target: '/git/target.git/info/refs?service=git-upload-pack' }));
    t.is((await received(open(target.cluster.port).on('connect', function write(this: { write(bytes: Buffer): void }) { this.write(encodeRequest({ target: '/healthz' })); }))).status, 200);
    for (const socket of sockets) socket.destroy();
  });
});

test.serial('after all of them the replicas are equal and sound', async (t) => {
  await t.context.target.finish(t);
});
