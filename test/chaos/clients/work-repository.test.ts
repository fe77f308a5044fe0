import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { Random } from '../random.ts';
import { WorkRepository } from './work-repository.ts';

/**
 * A server that takes no push: it answers 503.
 * @param cut the first push to be answered by a broken connection instead
 */
async function refusingServer(t: ExecutionContext, { cut }: { cut: boolean }) {
  const folder = await mkdtemp(join(tmpdir(), 'trivet-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const bare = join(folder, 'server.git');
  await promisify(execFile)('git', ['init', '-q', '--bare', bare]);
  const { stdout } = await promisify(execFile)('git', ['receive-pack', '--http-backend-info-refs', bare]);
  const seen = { pushes: 0 };
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/x-git-receive-pack-advertisement');
      response.end(`001f# service=git-receive-pack\n0000${stdout}`);
      return;
    }
    request.resume();
    await once(request, 'end');
    seen.pushes += 1;
    if (cut && seen.pushes === 1) request.socket.destroy();
    else response.writeHead(503).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  const work = await WorkRepository.create(join(folder, 'work.git'), 'sha1', 'a');
  const commit = await work.commit([], new Random(1), 0);
  const push = () => work.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a/b`, new Map([['refs/heads/main', commit]]), { force: false, atomic: false });
  return { seen, push };
}

test('a push that is refused once is rejected', async (t) => {
  const { seen, push } = await refusingServer(t, { cut: false });
  t.is((await push()).updates[0]!.outcome, 'rejected');
  t.is(seen.pushes, 1);
});

test('a refusal says nothing of the same push that curl sent before, on a connection that broke', async (t) => {
  const { seen, push } = await refusingServer(t, { cut: true });
  t.is((await push()).updates[0]!.outcome, 'unknown');
  t.is(seen.pushes, 2);
});
