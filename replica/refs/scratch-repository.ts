import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';

/** For tests: bare repositories made by git, with a few commits and an annotated tag, that vanish with their test. */
export interface Scratch {
  /** Commits, all different. */
  oids: readonly Oid[];
  tag: Oid;
  /** A new repository with these objects: without refs and with HEAD at refs/heads/main, or with `original`'s. */
  repository(original?: string): string;
}

export const ENVIRONMENT = {
  PATH: process.env['PATH'], HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', LC_ALL: 'C',
  GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.org', GIT_AUTHOR_DATE: '1700000000 +0000',
  GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.org', GIT_COMMITTER_DATE: '1700000000 +0000',
};

export function makeScratch(t: ExecutionContext, format: ObjectFormat = 'sha1'): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-refs-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const model = join(directory, 'model');
  git(directory, ['init', '-q', '--bare', `--object-format=${format}`, '--initial-branch=main', '--template=', model]);
  const tree = git(model, ['mktree'], '').trim();
  const oids = [1, 2, 3, 4].map((i) => git(model, ['commit-tree', tree, '-m', `${i}`]).trim());
  const tag = git(model, ['mktag'], `object ${oids[0]}\ntype commit\ntag v1\ntagger a <a@example.org> 1700000000 +0000\n\nv1\n`);
  let made = 0;
  const repository = (original = model) => {
    const copy = join(directory, String(made++));
    mkdirSync(copy);
    for (const name of ['HEAD', 'config', 'refs', 'packed-refs']) {
      if (existsSync(join(original, name))) cpSync(join(original, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(model, 'objects'), join(copy, 'objects'));
    return copy;
  };
  return { oids, tag: tag.trim(), repository };
}

/** Standard output. Throws when git fails or has anything to complain about. */
export function git(gitDir: string, args: readonly string[], input = ''): string {
  const { stdout, stderr, status } = spawnSync('git', args, { cwd: gitDir, env: ENVIRONMENT, input, encoding: 'utf8' });
  if (status !== 0 || stderr !== '') throw new Error(`git ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** What git sees: every ref with its value, sorted as git sorts. */
export function refsByGit(gitDir: string): [name: string, oid: Oid][] {
  const lines = git(gitDir, ['for-each-ref', '--format=%(objectname) %(refname)']).split('\n').slice(0, -1);
  return lines.map((line) => [line.slice(line.indexOf(' ') + 1), line.slice(0, line.indexOf(' '))]);
}

/** Every file and directory, sorted. */
export function filesOf(gitDir: string): string[] {
  return (readdirSync(gitDir, { recursive: true }) as string[]).filter((path) => !path.startsWith('objects')).sort();
}

export function locksOf(gitDir: string): string[] {
  return filesOf(gitDir).filter((path) => path.endsWith('.lock') || path.endsWith('.new'));
}
