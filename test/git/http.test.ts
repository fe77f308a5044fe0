import { Agent } from 'node:http';
import { gzipSync } from 'node:zlib';
import { type WorkTree } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { feedGit, makePack, useCluster } from './fixture.ts';
import { packets, push, pushBody, request, uploadPack } from './wire.ts';

const scenario = useCluster(async (cluster) => {
  await cluster.create('shared');
  const work = await cluster.workTree();
  tip = await work.commit('first');
  await work.git('push', '-q', cluster.gitUrl('shared'), 'main');
});
const shared = { shared: 'shared' };
let tip: string;

const ZERO = '0'.repeat(40);
const RECEIVE = { 'content-type': 'application/x-git-receive-pack-request' };
const UPLOAD = { 'content-type': 'application/x-git-upload-pack-request' };
const V2 = { 'git-protocol': 'version=2' };
const LS_REFS = packets('command=ls-refs', 'object-format=sha1', '0000');

scenario('every git answer has its content type and forbids caching', async (t, { url, work }) => {
  await work.commit('first');
  const pack = await makePack(work, ['main']);
  const answers = [
    ['application/x-git-upload-pack-advertisement', await request(`${url}/info/refs?service=git-upload-pack`)],
    ['application/x-git-upload-pack-advertisement', await request(`${url}/info/refs?service=git-upload-pack`, { headers: V2 })],
    ['application/x-git-receive-pack-advertisement', await request(`${url}/info/refs?service=git-receive-pack`)],
    ['application/x-git-upload-pack-result', await uploadPack(url, LS_REFS, V2)],
    ['application/x-git-upload-pack-result', await uploadPack(url, Buffer.from('0000'))],
    ['application/x-git-receive-pack-result', await push(url, Buffer.from('0000'))],
    ['application/x-git-receive-pack-result', await push(url, pushBody([`${ZERO} ${await work.git('rev-parse', 'main')} refs/heads/main`], 'report-status', pack))],
  ] as const;
  for (const [type, answer] of answers) {
    t.is(answer.status, 200, type);
    t.is(answer.headers['content-type'], type);
    t.is(answer.headers['cache-control'], 'no-cache, max-age=0, must-revalidate');
    t.is(answer.headers.pragma, 'no-cache');
    t.is(answer.headers.expires, 'Fri, 01 Jan 1980 00:00:00 GMT');
  }
});

scenario('HEAD of info/refs has the headers of GET and no body', async (t, { url }) => {
  for (const service of ['git-upload-pack', 'git-receive-pack']) {
    const answer = await request(`${url}/info/refs?service=${service}`, { method: 'HEAD' });
    t.is(answer.status, 200);
    t.is(answer.headers['content-type'], `application/x-${service}-advertisement`);
    t.is(answer.headers['cache-control'], 'no-cache, max-age=0, must-revalidate');
    t.is(answer.body.length, 0);
  }
}, shared);

scenario('a request that is not git\'s is refused with the status that says why', async (t, { url, cluster }) => {
  const refused = async (status: number, path: string, options: Parameters<typeof request>[1] = {}) => {
    const answer = await request(path, options);
    t.is(answer.status, status, `${options?.method ?? 'GET'} ${path}: ${answer.body}`);
    t.regex(answer.headers['content-type'] ?? '', /^text\/plain|^application\/json/);
  };
  await refused(403, `${url}/info/refs`);
  await refused(403, `${url}/info/refs?service=git-upload-archive`);
  await refused(403, `${url}/HEAD`);
  await refused(404, `${url}/nothing`);
  await refused(404, `${cluster.gitUrl('nowhere')}/info/refs?service=git-upload-pack`);
  await refused(405, `${url}/info/refs?service=git-upload-pack`, { method: 'POST', body: Buffer.from('0000') });
  await refused(405, `${url}/git-upload-pack`);
  await refused(405, `${url}/git-receive-pack`);
  await refused(415, `${url}/git-upload-pack`, { method: 'POST', body: LS_REFS });
  await refused(415, `${url}/git-receive-pack`, { method: 'POST', body: Buffer.from('0000'), headers: UPLOAD });
  await refused(415, `${url}/git-upload-pack`, { method: 'POST', body: LS_REFS, headers: { ...UPLOAD, 'content-encoding': 'br' } });
  await refused(400, `${url}/git-upload-pack`, { method: 'POST', body: LS_REFS, headers: { ...UPLOAD, 'content-encoding': 'gzip' } });
  await refused(400, `${url}/git-receive-pack`, { method: 'POST', body: Buffer.from('zzzz'), headers: RECEIVE });
}, shared);

scenario('a gzipped request is the same request, for fetches and for pushes', async (t, { url, work }) => {
  const oid = await work.commit('first');
  const body = pushBody([`${ZERO} ${oid} refs/heads/main`], 'report-status', await makePack(work, ['main']));
  for (const [encoding, ref] of [['gzip', 'main'], ['x-gzip', 'other']] as const) {
    const renamed = Buffer.from(body.toString('latin1').replace(/^(.{4})(.*)refs\/heads\/main/, (_, length: string, head: string) => (
      `${(Number.parseInt(length, 16) + ref.length - 4).toString(16).padStart(4, '0')}${head}refs/heads/${ref}`)), 'latin1');
    const pushed = await request(`${url}/git-receive-pack`, { method: 'POST', body: gzipSync(renamed), headers: { ...RECEIVE, 'content-encoding': encoding } });
    t.true(pushed.body.includes(`ok refs/heads/${ref}`), pushed.body.toString());
    const listed = await request(`${url}/git-upload-pack`, { method: 'POST', body: gzipSync(LS_REFS), headers: { ...UPLOAD, ...V2, 'content-encoding': encoding } });
    t.true(listed.body.includes(`${oid} refs/heads/${ref}`));
  }
  const truncated = gzipSync(LS_REFS).subarray(0, -9);
  t.is((await request(`${url}/git-upload-pack`, { method: 'POST', body: truncated, headers: { ...UPLOAD, ...V2, 'content-encoding': 'gzip' } })).status, 400);
});

scenario('git gzips its large fetch requests by itself, and they are understood', async (t, { clone, work }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const copy = await clone();
  await ownHistory(copy, 100);
  const next = await work.commit('next');
  await work.git('push', '-q', 'origin', 'main');
  const fetched = await runGit(copy.path, ['-c', 'protocol.version=0', 'fetch'], { GIT_TRACE_CURL: '1' });
  t.is(fetched.code, 0);
  t.regex(fetched.stderr, /Content-Encoding: gzip/i);
  t.is(await copy.git('rev-parse', 'origin/main'), next);
});

scenario('a push in chunks is understood: git\'s own with a small buffer, and one of a byte each', async (t, { url, work, cluster, repository }) => {
  await work.commit('first', Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}.txt`, `${Math.sin(i)}\n`.repeat(40)])));
  const pushed = await runGit(work.path, ['-c', 'http.postBuffer=1024', 'push', 'origin', 'main'], { GIT_TRACE_CURL: '1' });
  t.is(pushed.code, 0, pushed.stderr);
  t.regex(pushed.stderr, /Transfer-Encoding: chunked/i);
  const oid = await work.commit('second');
  const body = pushBody([`${ZERO} ${oid} refs/heads/bytewise`], 'report-status', await makePack(work, ['main'], ['main~1']));
  const answer = await request(`${url}/git-receive-pack`, { method: 'POST', headers: RECEIVE, body: Array.from(body, (byte) => Buffer.from([byte])) });
  t.true(answer.body.includes('ok refs/heads/bytewise'), answer.body.toString());
  t.is((await cluster.show(repository)).generation, 2);
});

scenario('a client that waits for 100 Continue gets it, also from git', async (t, { url, work }) => {
  const oid = await work.commit('first');
  const body = pushBody([`${ZERO} ${oid} refs/heads/raw`], 'report-status', await makePack(work, ['main']));
  const answer = await request(`${url}/git-receive-pack`, { method: 'POST', body, headers: { ...RECEIVE, expect: '100-continue' } });
  t.true(answer.continued);
  t.true(answer.body.includes('ok refs/heads/raw'));
  const pushed = await runGit(work.path, ['-c', 'http.extraHeader=Expect: 100-continue', 'push', 'origin', 'main'], { GIT_TRACE_CURL: '1' });
  t.is(pushed.code, 0, pushed.stderr);
  t.regex(pushed.stderr, /100 Continue/);
});

scenario('requests one after another share a connection, refusals and pushes among them', async (t, { url, work }) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const oid = await work.commit('first');
  const body = pushBody([`${ZERO} ${oid} refs/heads/main`], 'report-status side-band-64k', await makePack(work, ['main']));
  const answers = [
    await request(`${url}/info/refs?service=git-receive-pack`, { agent }),
    await request(`${url}/git-receive-pack`, { agent, method: 'POST', headers: RECEIVE, body }),
    await request(`${url}/nothing`, { agent }),
    await request(`${url}/git-upload-pack`, { agent, method: 'POST', headers: { ...UPLOAD, ...V2 }, body: LS_REFS }),
    await request(`${url}/git-receive-pack`, { agent, method: 'POST', headers: RECEIVE, body }),
    await request(`${url}/info/refs?service=git-upload-pack`, { agent }),
  ];
  agent.destroy();
  t.deepEqual(answers.map(({ status }) => status), [200, 200, 404, 200, 200, 200]);
  t.is(new Set(answers.map(({ localPort }) => localPort)).size, 1);
  t.true(answers[4]!.body.includes('ng refs/heads/main incorrect old value provided'));
});

scenario('a repository is reached with .git and without, for pushes and fetches', async (t, { cluster, repository, work }) => {
  const plain = `${cluster.url}/git/${repository}`;
  const oid = await work.commit('first');
  await work.git('push', '-q', plain, 'main');
  await work.git('push', '-q', `${plain}.git`, 'main:with');
  await work.git('push', '-q', `${plain}/`, 'main:slash');
  for (const url of [plain, `${plain}.git`, `${plain}.git/`]) {
    t.is(await work.git('ls-remote', url, 'HEAD', 'refs/heads/s*'), `${oid}\tHEAD\n${oid}\trefs/heads/slash`);
  }
});

scenario('a repository\'s name may have several segments, and one name may begin another', async (t, { cluster, work, directory }) => {
  for (const name of ['org', 'org/sub', 'org/sub/repo', 'org/info/refs', 'org/git-upload-pack']) {
    await cluster.create(name);
    const oid = await work.commit(name);
    await work.git('push', '-q', cluster.gitUrl(name), 'main');
    await work.git('push', '-q', `${cluster.url}/git/${name}`, 'main:without');
    const path = await directory();
    t.is((await runGit(path, ['clone', '-q', `${cluster.url}/git/${name}`, '.'])).code, 0, name);
    t.is((await runGit(path, ['rev-parse', 'HEAD'])).stdout.trim(), oid);
    t.is((await cluster.show(name)).name, name);
  }
});

scenario('percent-encoding is decoded once, and leads to nothing but a repository name', async (t, { cluster, url }) => {
  const listed = async (path: string) => (await request(`${cluster.url}/git/${path}/info/refs?service=git-upload-pack`)).status;
  t.is(await listed('%73hared.git'), 200);
  t.is((await request(`${url}/info/refs?service=git-upload-pack`)).status, 200);
  for (const path of ['..%2fshared', '%2e%2e%2fshared', 'shared%00', 'shared%252egit', '%', 'a%2f%2fb', '.git', 'shared.git.git', 'a//b', `${'a'.repeat(300)}`]) {
    t.is(await listed(path), 400, path);
  }
  t.is(await listed('org2%2frepo'), 404);
}, shared);

scenario('a fetch that asks for nonsense is told so, and the next one is served', async (t, { url }) => {
  for (const body of [packets('command=fetch', '0001', 'want x', '0000'), packets('command=nothing', '0000'), Buffer.from('0'), packets('want nothing\n', '0000')]) {
    t.is((await uploadPack(url, body, body.includes('command') ? V2 : {})).status, 400, body.toString());
  }
  t.true((await uploadPack(url, LS_REFS, V2)).body.includes(tip));
}, shared);

/** Newer commits of its own on many branches, which a fetch has to name. */
async function ownHistory(tree: WorkTree, count: number): Promise<void> {
  const stream = Array.from({ length: count }, (_, i) => `commit refs/heads/own-${i}\ncommitter A <a@example.org> ${2_000_000_000 + i} +0000\ndata 1\n.\n\n`);
  const imported = await feedGit(tree.path, ['fast-import', '--quiet'], stream.join(''));
  if (imported.code !== 0) throw new Error(imported.stderr);
}
