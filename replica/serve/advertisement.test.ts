import test from 'ava';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { advertiseReceivePack, advertiseUploadPack } from './advertisement.ts';
import { emptyRepository, exampleRepository, git, gitSync, serve, requestBody } from './fixture.ts';

/** What differs by intention: how a server names itself. */
function withoutAgent(advertisement: Buffer): string {
  return advertisement.toString('utf8')
    .replace(/[0-9a-f]{4}(?=([0-9a-f]{40,64} \S+\0|agent=))/g, 'LLLL')
    .replace(/ ?agent=\S+/g, '');
}

async function repositories(t: Parameters<typeof exampleRepository>[0]): Promise<[string, string, ObjectFormat][]> {
  const unborn = await exampleRepository(t);
  await git(['symbolic-ref', 'HEAD', 'refs/heads/not-yet'], { cwd: unborn });
  const onlyHidden = await exampleRepository(t);
  const names = (await git(['for-each-ref', '--format=%(refname)'], { cwd: onlyHidden })).split('\n');
  for (const name of names) if (!name.startsWith('refs/trivet/')) gitSync(['update-ref', '-d', name], onlyHidden);
  return [
    ['example', await exampleRepository(t), 'sha1'],
    ['sha256', await exampleRepository(t, 'sha256'), 'sha256'],
    ['empty', await emptyRepository(t), 'sha1'],
    ['empty sha256', await emptyRepository(t, 'sha256'), 'sha256'],
    ['HEAD not born', unborn, 'sha1'],
    ['hidden refs only', onlyHidden, 'sha1'],
  ];
}

test('upload-pack is advertised in v0, v1 and v2 as the installed git does it', async (t) => {
  for (const [name, gitDir, format] of await repositories(t)) {
    for (const version of [0, 1, 2]) {
      const ours = await advertiseUploadPack(await serve(gitDir, format), `version=${version}`);
      const theirs = gitSync(['upload-pack', '--http-backend-info-refs', '.'], gitDir, '', version);
      const service = version === 2 ? Buffer.alloc(0) : requestBody('# service=git-upload-pack\n', '0000');
      t.is(withoutAgent(ours), withoutAgent(Buffer.concat([service, theirs])), `${name}, v${version}`);
    }
  }
});

test('receive-pack is advertised as the installed git does it', async (t) => {
  for (const [name, gitDir, format] of await repositories(t)) {
    const ours = await advertiseReceivePack(await serve(gitDir, format));
    const config = ['-c', 'receive.advertisePushOptions=true'];
    const theirs = gitSync([...config, 'receive-pack', '--http-backend-info-refs', '.'], gitDir);
    const service = requestBody('# service=git-receive-pack\n', '0000');
    t.is(withoutAgent(ours), withoutAgent(Buffer.concat([service, theirs])), name);
  }
});

test('the twin sees a capability that git has and we left out', async (t) => {
  const gitDir = await exampleRepository(t);
  const ours = await advertiseUploadPack(await serve(gitDir), undefined);
  const other = gitSync(['-c', 'uploadpack.allowFilter=false', 'upload-pack', '--http-backend-info-refs', '.'], gitDir);
  const theirs = Buffer.concat([requestBody('# service=git-upload-pack\n', '0000'), other]);
  t.not(withoutAgent(ours), withoutAgent(theirs));
});

test('hidden refs are in no advertisement', async (t) => {
  const served = await serve(await exampleRepository(t));
  t.not(served.refs.get('refs/trivet/kept'), undefined);
  t.false((await advertiseReceivePack(served)).includes('refs/trivet'));
  t.false((await advertiseUploadPack(served, undefined)).includes('refs/trivet'));
});

test('both services name Trivet as their agent', async (t) => {
  const served = await serve(await exampleRepository(t));
  t.true((await advertiseReceivePack(served)).includes('agent=trivet/0.1.0'));
  t.true((await advertiseUploadPack(served, 'version=2')).includes('agent=trivet/0.1.0'));
  t.true((await advertiseUploadPack(served, undefined)).includes('agent=trivet/0.1.0'));
});

test('every pkt-line of a long advertisement has its own length', async (t) => {
  const served = await serve(await exampleRepository(t));
  const body = await advertiseUploadPack(served, 'version=1');
  let at = 0;
  while (at < body.length) at += Math.max(4, Number.parseInt(body.toString('latin1', at, at + 4), 16));
  t.is(at, body.length);
});
