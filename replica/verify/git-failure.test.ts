import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { runGit } from '../git/process.ts';
import { TestNode, TestRepository } from '../test-node.ts';
import { isFinding } from './git-failure.ts';

// Alone in its file, for it changes where this process finds git.

test.serial('a failure of git itself is an error, not a finding: no git, or one that is killed', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  const path = process.env['PATH'];
  const tools = mkdtempSync(join(tmpdir(), 'trivet-tools-'));
  t.teardown(() => rmSync(tools, { recursive: true }));
  writeFileSync(join(tools, 'git'), '#!/bin/sh\nexec true\n');
  for (const git of ['', '#!/bin/sh\nkill -9 $$\n', '#!/bin/sh\necho "fatal: Out of memory, malloc failed" >&2\nexit 128\n']) {
    if (git === '') rmSync(join(tools, 'git'));
    else writeFileSync(join(tools, 'git'), git);
    if (git !== '') chmodSync(join(tools, 'git'), 0o755);
    process.env['PATH'] = git === '' ? join(tools, 'nothing') : `${tools}:/usr/bin:/bin`;
    try {
      for (const full of [false, true]) {
        const error = await t.throwsAsync(node.verify(repository.id, full)) as TrivetError;
        t.is(error.code, 'git_failed', String(error));
      }
    } finally {
      process.env['PATH'] = path;
    }
  }
});

test.serial('who stops waiting ends git, wherever it is', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  const tools = mkdtempSync(join(tmpdir(), 'trivet-tools-'));
  t.teardown(() => rmSync(tools, { recursive: true }));
  const path = process.env['PATH'];
  for (const verb of ['cat-file', 'fsck']) {
    const pidFile = join(tools, `${verb}.pid`);
    writeFileSync(join(tools, 'git'), `#!/bin/sh\ncase "$*" in *${verb}*) echo $$ > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; exec sleep 600;; esac\nexec /usr/bin/git "$@"\n`);
    chmodSync(join(tools, 'git'), 0o755);
    process.env['PATH'] = `${tools}:${path}`;
    const leaving = new AbortController();
    const verifying = node.context.verify.run(repository.id, true, leaving.signal);
    while (!existsSync(pidFile)) await new Promise((resolve) => { setTimeout(resolve, 5); });
    process.env['PATH'] = path;
    const pid = Number(readFileSync(pidFile, 'utf8'));
    t.notThrows(() => process.kill(pid, 0));
    leaving.abort();
    await t.throwsAsync(verifying);
    t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    t.is(node.context.verify.running, 0);
  }
});

test.serial('git at low priority gets what others leave', async (t) => {
  const nice = async (priority?: 'low') => (await runGit(['-c', 'alias.niceness=!nice', 'niceness'], { gitDir: tmpdir(), ...(priority && { priority }) })).toString().trim();
  t.is(await nice('low'), '19');
  t.is(await nice(), (await promisify(execFile)('nice')).stdout.trim());
});

test('what git dies of tells a repository from a machine', (t) => {
  const died = (stderr: string, code: number | null = 128) => isFinding(new TrivetError('git_failed', { code, stderr }));
  for (const stderr of ['fatal: bad object HEAD', 'fatal: not a git repository: x', 'error: mmap failed: Input/output error', 'fatal: bad config line 1 in file config']) t.true(died(stderr), stderr);
  for (const stderr of ['fatal: Out of memory, malloc failed', 'fatal: detected dubious ownership in repository', 'error: open: Too many open files', 'fatal: unable to create thread: Resource temporarily unavailable']) t.false(died(stderr), stderr);
  t.false(died('', null));
  t.false(died('nice: git: No such file or directory', 127));
});
