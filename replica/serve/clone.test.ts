import test, { type ExecutionContext } from 'ava';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyRepository, exampleRepository, git, listen, temporaryDirectory } from './fixture.ts';

// Stock git against the functions of this folder, over HTTP.

/** Clones and gives the place. */
async function clone(t: ExecutionContext, url: string, ...options: string[]): Promise<string> {
  const place = join(temporaryDirectory(t), 'clone');
  const config = options.filter((option) => option.startsWith('protocol.')).flatMap((option) => ['-c', option]);
  const others = options.filter((option) => !option.startsWith('protocol.'));
  await git([...config, 'clone', '--quiet', ...others, url, place]);
  return place;
}

async function refsOf(repository: string): Promise<string> {
  return git(['for-each-ref', '--format=%(objectname) %(refname)', 'refs/heads', 'refs/tags', 'refs/notes'],
    { cwd: repository });
}

async function countCommits(cwd: string, revision = 'HEAD'): Promise<number> {
  return Number(await git(['rev-list', '--count', revision], { cwd }));
}

/** Every object there is, reachable or not. */
async function countObjects(cwd: string): Promise<number> {
  const objects = await git(['cat-file', '--batch-all-objects', '--batch-check=x'], { cwd });
  return objects.split('\n').length;
}

for (const version of [0, 1, 2]) {
  test(`a mirror clone over protocol v${version} has the same refs and sound objects`, async (t) => {
    const gitDir = await exampleRepository(t);
    const place = await clone(t, await listen(t, gitDir), `protocol.version=${version}`, '--mirror');
    t.is(await refsOf(place), await refsOf(gitDir));
    t.is(await git(['symbolic-ref', 'HEAD'], { cwd: place }), 'refs/heads/main');
    t.is(await git(['for-each-ref', 'refs/trivet'], { cwd: place }), '');
    await git(['fsck', '--strict'], { cwd: place });
  });

  test(`history is cut and deepened over protocol v${version}`, async (t) => {
    const url = await listen(t, await exampleRepository(t));
    const protocol = `protocol.version=${version}`;
    const place = await clone(t, url, protocol, '--depth=2');
    const fetch = (...options: string[]) => git(['-c', protocol, 'fetch', '--quiet', ...options], { cwd: place });
    t.is(await countCommits(place), 2);
    await fetch('--deepen=2');
    t.is(await countCommits(place), 4);
    await fetch('--depth=1');
    t.is(await countCommits(place), 1);
    await fetch('--unshallow');
    t.is(await countCommits(place), 6);
    await git(['fsck', '--strict'], { cwd: place });

    const since = await clone(t, url, protocol, `--shallow-since=${1700000000 + 4 * 86400 - 1} +0000`);
    t.is(await countCommits(since), 3);
    const without = await clone(t, url, protocol, '--shallow-exclude=side');
    t.is(await countCommits(without), 3);
  });

  test(`a fetch over protocol v${version} brings only what is new`, async (t) => {
    const gitDir = await exampleRepository(t);
    const place = await clone(t, await listen(t, gitDir), `protocol.version=${version}`);
    const tip = await git(['commit-tree', '-p', 'main', '-m', 'new', 'main^{tree}'], { cwd: gitDir });
    await git(['update-ref', 'refs/heads/main', tip], { cwd: gitDir });
    const before = await countObjects(place);
    await git(['-c', `protocol.version=${version}`, 'fetch', '--quiet'], { cwd: place });
    t.is(await git(['rev-parse', 'origin/main'], { cwd: place }), tip);
    t.is(await countObjects(place), before + 1);
  });

  test(`an empty repository is cloned over protocol v${version}`, async (t) => {
    const place = await clone(t, await listen(t, await emptyRepository(t)), `protocol.version=${version}`);
    // Only v2 tells what an unborn HEAD points at.
    if (version === 2) t.is(await git(['symbolic-ref', 'HEAD'], { cwd: place }), 'refs/heads/main');
    t.is(await git(['for-each-ref'], { cwd: place }), '');
  });
}

test('SHA-256 repositories are cloned over v0, v1 and v2', async (t) => {
  const gitDir = await exampleRepository(t, 'sha256');
  const url = await listen(t, gitDir, 'sha256');
  for (const version of [0, 1, 2]) {
    const place = await clone(t, url, `protocol.version=${version}`, '--mirror');
    t.is(await git(['rev-parse', '--show-object-format'], { cwd: place }), 'sha256');
    t.is(await refsOf(place), await refsOf(gitDir));
    await git(['fsck', '--strict'], { cwd: place });
  }
});

const FILTERS: [filter: string, missingSome: boolean][] = [
  ['blob:none', true],
  ['blob:limit=1k', true],
  ['tree:0', true],
  ['tree:1', true],
  ['object:type=commit', true],
  ['combine:tree:3+blob:limit=2k', true],
  ['blob:limit=1g', false],
];

for (const [filter, missingSome] of FILTERS) {
  for (const version of [0, 2]) {
    test(`a partial clone with ${filter} over v${version} fetches the rest when it is needed`, async (t) => {
      const gitDir = await exampleRepository(t);
      const url = await listen(t, gitDir);
      const place = await clone(t, url, `protocol.version=${version}`, '--no-checkout', `--filter=${filter}`);
      const missing = await git(['rev-list', '--objects', '--all', '--missing=print'], { cwd: place });
      t.is(/^\?/m.test(missing), missingSome);
      await git(['-c', `protocol.version=${version}`, 'checkout', '--quiet', 'main'], { cwd: place });
      const expected = await git(['show', 'main:directory/inner-2'], { cwd: gitDir });
      t.is(readFileSync(join(place, 'directory/inner-2'), 'utf8').trimEnd(), expected);
      t.is(await git(['diff', '--stat', 'HEAD~4', 'HEAD', '--', 'common'], { cwd: place }),
        await git(['diff', '--stat', 'main~4', 'main', '--', 'common'], { cwd: gitDir }));
    });
  }
}

test('a sparse filter is read from a blob of the repository', async (t) => {
  const gitDir = await exampleRepository(t);
  const work = await clone(t, await listen(t, gitDir));
  const spec = join(work, 'spec');
  await git(['config', '--file', spec, 'x.y', 'z'], { cwd: work });
  const blob = await git(['hash-object', '-w', 'file-1'], { cwd: work });
  t.is(await git(['rev-parse', 'main:file-1'], { cwd: gitDir }), blob);
  const place = await clone(t, await listen(t, gitDir), '--no-checkout', `--filter=sparse:oid=${blob}`);
  t.regex(await git(['rev-list', '--objects', '--all', '--missing=print'], { cwd: place }), /^\?/m);
});

test('--single-branch, --no-tags and tags that follow a branch', async (t) => {
  const gitDir = await exampleRepository(t);
  const url = await listen(t, gitDir);
  const names = async (place: string) =>
    (await git(['for-each-ref', '--format=%(refname)'], { cwd: place })).split('\n');
  for (const version of [0, 2]) {
    const protocol = `protocol.version=${version}`;
    const side = await clone(t, url, protocol, '--single-branch', '--branch=side');
    t.deepEqual(await names(side), ['refs/heads/side', 'refs/remotes/origin/side', 'refs/tags/light']);
    const main = await clone(t, url, protocol, '--single-branch');
    t.true((await names(main)).includes('refs/tags/v1-again'));
    const untagged = await clone(t, url, protocol, '--no-tags');
    t.deepEqual((await names(untagged)).filter((name) => name.startsWith('refs/tags/')), []);
    const tag = await clone(t, url, protocol, '--branch=v1', '--depth=1');
    t.is(await git(['rev-parse', 'HEAD'], { cwd: tag }), await git(['rev-parse', 'v1^{commit}'], { cwd: gitDir }));
  }
});

test('ls-remote lists what stock git lists of the same repository', async (t) => {
  const gitDir = await exampleRepository(t);
  const url = await listen(t, gitDir);
  const options = [[], ['--symref'], ['--heads'], ['--tags'], ['--refs'], ['--symref', '--exit-code']];
  const patterns = [[], ['main'], ['refs/tags/*'], ['v1*'], ['HEAD'], ['refs/heads/s*', 'light']];
  for (const version of [0, 1, 2]) {
    for (const option of options) {
      for (const pattern of patterns) {
        const list = async (from: string) =>
          git(['-c', `protocol.version=${version}`, 'ls-remote', ...option, from, ...pattern]).catch(() => 'nothing');
        t.is(await list(url), await list(gitDir), `v${version} ${[...option, ...pattern].join(' ')}`);
      }
    }
  }
});

test('a hidden ref can be neither seen nor fetched by its name', async (t) => {
  const url = await listen(t, await exampleRepository(t));
  t.is(await git(['ls-remote', url, 'refs/trivet/*']), '');
  const place = await clone(t, url);
  const fetch = git(['fetch', 'origin', 'refs/trivet/kept'], { cwd: place });
  await t.throwsAsync(fetch, { message: /couldn't find remote ref/ });
});

test('a commit that was advertised a moment ago and then forced away is still served', async (t) => {
  const gitDir = await exampleRepository(t);
  const advertised = await git(['rev-parse', 'main'], { cwd: gitDir });
  await git(['update-ref', 'refs/heads/main', 'main~3'], { cwd: gitDir });
  for (const name of ['refs/tags/v1', 'refs/tags/v1-again', 'refs/notes/ä-Ω', 'refs/trivet/kept']) {
    await git(['update-ref', '-d', name], { cwd: gitDir });
  }
  for (const version of [0, 2]) {
    const url = await listen(t, gitDir);
    const place = await clone(t, url, `protocol.version=${version}`);
    await git(['-c', `protocol.version=${version}`, 'fetch', '--quiet', 'origin', advertised], { cwd: place });
    t.is(await countCommits(place, advertised), 6);
  }
});

test('a want that does not exist is refused by git itself, in its own words', async (t) => {
  const url = await listen(t, await exampleRepository(t));
  const place = await clone(t, url);
  for (const version of [0, 2]) {
    const fetch = git(['-c', `protocol.version=${version}`, 'fetch', 'origin', '1'.repeat(40)], { cwd: place });
    await t.throwsAsync(fetch, { message: /remote error: upload-pack: not our ref 1{40}/ });
  }
  t.false(existsSync(join(place, '.git/FETCH_HEAD')) && readFileSync(join(place, '.git/FETCH_HEAD'), 'utf8') !== '');
});
