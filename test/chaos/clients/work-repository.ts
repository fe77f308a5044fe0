import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { Random } from '../random.ts';
import type { Update, Value } from '../history/history.ts';
import { git, type GitResult } from './git.ts';
import { outcomesOf } from './outcome.ts';

export interface Push { updates: Update[]; code: number; text: string }
export interface Listing { ok: boolean; refs: Record<string, string>; text: string }

/** One client's repository on its own disk, from which stock git pushes and into which it fetches. */
export class WorkRepository {
  readonly path: string;
  readonly #format: 'sha1' | 'sha256';
  readonly #author: string;
  #commits = 0;

  private constructor(path: string, format: 'sha1' | 'sha256', author: string) {
    this.path = path;
    this.#format = format;
    this.#author = author;
  }

  static async create(path: string, format: 'sha1' | 'sha256', author: string): Promise<WorkRepository> {
    await mkdir(path, { recursive: true });
    await git(path, ['init', '-q', '--bare', `--object-format=${format}`, path]);
    return new WorkRepository(path, format, author);
  }

  /**
   * Makes a commit that nobody has made before, and gives its id. Written without git: that would be three processes for
   * each of thousands of commits.
   * @param bytes of a file beside a short text; random, so it doesn't get smaller on the way
   */
  async commit(parents: readonly string[], random: Random, bytes: number): Promise<string> {
    this.#commits += 1;
    const text = `${this.#author} ${this.#commits}\n`;
    const files: [string, string][] = [['text', await this.#object('blob', Buffer.from(text))]];
    if (bytes > 0) files.unshift(['data', await this.#object('blob', random.bytes(bytes))]);
    const tree = Buffer.concat(files.flatMap(([name, id]) => [Buffer.from(`100644 ${name}\0`), Buffer.from(id, 'hex')]));
    const lines = [
      `tree ${await this.#object('tree', tree)}`, ...parents.map((parent) => `parent ${parent}`),
      `author ${this.#author} <a@example.org> 1700000000 +0000`, `committer ${this.#author} <a@example.org> 1700000000 +0000`, '', text,
    ];
    return this.#object('commit', Buffer.from(lines.join('\n')));
  }

  /** @param wanted for each ref the commit, or null to delete it */
  async push(url: string, wanted: ReadonlyMap<string, Value>, options: { force: boolean; atomic: boolean }): Promise<Push> {
    const trace = join(this.path, `trace-${this.#commits}-${Math.trunc(performance.now())}`);
    const traces = { packets: `${trace}-packets`, curl: `${trace}-curl` };
    const flags = [...(options.force ? ['--force'] : []), ...(options.atomic ? ['--atomic'] : [])];
    const refspecs = [...wanted].map(([ref, value]) => `${value ?? ''}:${ref}`);
    const result = await git(this.path, ['push', '--porcelain', ...flags, url, ...refspecs], {
      GIT_TRACE_PACKET: traces.packets, GIT_TRACE_CURL: traces.curl, GIT_TRACE_CURL_NO_DATA: '1',
    });
    const [packets, curl] = await Promise.all([takeFile(traces.packets), takeFile(traces.curl)]);
    return { updates: outcomesOf(wanted, { ...result, packets, curl }), code: result.code, text: textOf(result) };
  }

  async list(url: string, version: 0 | 2): Promise<Listing> {
    const result = await git(this.path, ['-c', `protocol.version=${version}`, 'ls-remote', '--refs', url]);
    return { ok: result.code === 0, refs: refsOf(result.stdout), text: textOf(result) };
  }

  /** Brings everything here; what was there is known exactly, for local refs follow it. */
  async fetch(url: string, version: 0 | 2): Promise<Listing> {
    const result = await git(this.path, ['-c', `protocol.version=${version}`, 'fetch', '-q', '--prune', '--no-tags', '--no-write-fetch-head', url, '+refs/*:refs/remote/*']);
    if (result.code !== 0) return { ok: false, refs: {}, text: textOf(result) };
    const refs = await git(this.path, ['for-each-ref', '--format=%(objectname)%09refs/%(refname:strip=2)', 'refs/remote/']);
    return { ok: refs.code === 0, refs: refsOf(refs.stdout), text: textOf(refs) };
  }

  /** A mirror of everything, checked object by object and thrown away. */
  async clone(url: string, version: 0 | 2): Promise<Listing> {
    const target = join(this.path, 'clone');
    try {
      const result = await git(this.path, ['-c', `protocol.version=${version}`, 'clone', '-q', '--mirror', url, target]);
      if (result.code !== 0) return { ok: false, refs: {}, text: textOf(result) };
      const fsck = await git(target, ['fsck', '--full', '--strict', '--no-dangling']);
      if (fsck.code !== 0) return { ok: false, refs: {}, text: `fsck: ${textOf(fsck)}` };
      const refs = await git(target, ['for-each-ref', '--format=%(objectname)%09%(refname)']);
      return { ok: true, refs: refsOf(refs.stdout), text: '' };
    } finally {
      await rm(target, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  async #object(type: string, content: Buffer): Promise<string> {
    const bytes = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]);
    const id = createHash(this.#format).update(bytes).digest('hex');
    const folder = join(this.path, 'objects', id.slice(0, 2));
    const path = join(folder, id.slice(2));
    await mkdir(folder, { recursive: true });
    await writeFile(`${path}.new`, deflateSync(bytes));
    await rename(`${path}.new`, path);
    return id;
  }
}

/** What a file holds, which is gone afterwards; nothing when it wasn't there. */
async function takeFile(path: string): Promise<string> {
  const text = await readFile(path, 'latin1').catch(() => '');
  await rm(path, { force: true });
  return text;
}

function refsOf(listing: string): Record<string, string> {
  return Object.fromEntries(listing.split('\n').filter((line) => line !== '').map((line) => line.split('\t').reverse() as [string, string]));
}

function textOf({ stderr, gaveUp }: GitResult): string {
  return `${gaveUp ? 'the client gave up; ' : ''}${stderr.trim()}`.slice(0, 2_000);
}
