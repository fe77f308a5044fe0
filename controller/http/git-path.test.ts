import test from 'ava';
import fc from 'fast-check';
import { isRepositoryName } from '@trivet/proto/repository-name.ts';
import { TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import { parseGitPath, pathBelow, repositoryName, type GitService } from './git-path.ts';

const accepted: [url: string, repository: string, service: GitService][] = [
  ['/git/a/info/refs', 'a', 'info/refs'],
  ['/git/a.git/info/refs', 'a', 'info/refs'],
  ['/git/a.git/info/refs?service=git-upload-pack', 'a', 'info/refs'],
  ['/git/a.git/git-upload-pack', 'a', 'git-upload-pack'],
  ['/git/a.git/git-receive-pack', 'a', 'git-receive-pack'],
  ['/git/team/project/x.git/git-receive-pack', 'team/project/x', 'git-receive-pack'],
  ['/git/A.git/info/refs', 'A', 'info/refs'],
  ['/git/%61%2Db.git/info/refs', 'a-b', 'info/refs'],
  ['/git/team%2fproject.git/info/refs', 'team/project', 'info/refs'],
  ['/git/a/info/info/refs', 'a/info', 'info/refs'],
  ['/git/git-upload-pack/info/refs', 'git-upload-pack', 'info/refs'],
  ['http://host:1/git/a.git/info/refs?service=x', 'a', 'info/refs'],
  ['HTTPS://user@host/git/a.git/info/refs', 'a', 'info/refs'],
  ['/git/a.git/info/refs?x=/git/b.git/git-upload-pack', 'a', 'info/refs'],
];

for (const [url, repository, service] of accepted) {
  test(`${url} asks for ${service} of ${repository}`, (t) => {
    t.deepEqual(parseGitPath(url), { repository, service });
  });
}

const refused: [url: string, code: ErrorCode][] = [
  ['/git/a.git', 'not_found'], ['/git/a.git/', 'not_found'], ['/git/', 'not_found'], ['/git/info/refs', 'not_found'],
  ['/git/a.git/info/refs/', 'not_found'], ['/git/a.git/git-upload-archive', 'not_found'], ['/git/a.git/info%2frefs', 'not_found'],
  ['/git/a.git/INFO/REFS', 'not_found'], ['/git/a.git/info/refs%00', 'not_found'],
  ['/%67it/a.git/info/refs', 'not_found'], ['//git/a.git/info/refs', 'not_found'], ['/GIT/a.git/info/refs', 'not_found'],
  ['http://host', 'not_found'], ['http://host?/git/a.git/info/refs', 'not_found'], ['*', 'not_found'], ['', 'not_found'],
  ['ftp://host/git/a.git/info/refs', 'not_found'], ['http://host/git/../git/a.git/info/refs', 'bad_repository_name'],
  ['/git/a.git/HEAD', 'dumb_protocol'], ['/git/a.git/objects/info/packs', 'dumb_protocol'], ['/git/a.git/objects/ab/cdef', 'dumb_protocol'],
  ['/git/a.git/objects/../HEAD', 'dumb_protocol'],
  ['/git//info/refs', 'bad_repository_name'], ['/git/.git/info/refs', 'bad_repository_name'], ['/git/a.git.git/info/refs', 'bad_repository_name'],
  ['/git/a.git/b/info/refs', 'bad_repository_name'], ['/git/a.GIT/info/refs', 'bad_repository_name'], ['/git/a//b.git/info/refs', 'bad_repository_name'],
  ['/git/../info/refs', 'bad_repository_name'], ['/git/a/../b/info/refs', 'bad_repository_name'], ['/git/./a/info/refs', 'bad_repository_name'],
  ['/git/%2e%2e/info/refs', 'bad_repository_name'], ['/git/%2e%2e%2fa/info/refs', 'bad_repository_name'], ['/git/..%2fa/info/refs', 'bad_repository_name'],
  ['/git/%252e%252e/info/refs', 'bad_repository_name'], ['/git/a%2f..%2f..%2fb/info/refs', 'bad_repository_name'],
  ['/git/..%5ca/info/refs', 'bad_repository_name'], ['/git/..\\a/info/refs', 'bad_repository_name'], ['/git/a%00.git/info/refs', 'bad_repository_name'],
  ['/git/a%0a/info/refs', 'bad_repository_name'], ['/git/a%20b/info/refs', 'bad_repository_name'], ['/git/a+b/info/refs', 'bad_repository_name'],
  ['/git/%c0%ae%c0%ae/info/refs', 'bad_repository_name'], ['/git/%e0%80%ae/info/refs', 'bad_repository_name'], ['/git/%ff/info/refs', 'bad_repository_name'],
  ['/git/%ef%bc%8e%ef%bc%8e/info/refs', 'bad_repository_name'], ['/git/%u002e/info/refs', 'bad_repository_name'], ['/git/a%/info/refs', 'bad_repository_name'],
  ['/git/a%2/info/refs', 'bad_repository_name'], ['/git/a%zz/info/refs', 'bad_repository_name'], ['/git/a;b/info/refs', 'bad_repository_name'],
  ['/git/%2fetc%2fpasswd/info/refs', 'bad_repository_name'], ['/git/C:%5cx/info/refs', 'bad_repository_name'], ['/git/~root/info/refs', 'bad_repository_name'],
  ['/git/a#b/info/refs', 'not_found'],
];

for (const [url, code] of refused) {
  test(`${url} is refused as ${code}`, (t) => {
    t.is(t.throws(() => parseGitPath(url), { instanceOf: TrivetError }).code, code);
  });
}

test('whatever comes over the wire, what is found is a repository name', (t) => {
  const piece = fc.constantFrom('a', '.', '..', '/', '%2f', '%2e', '%25', '%00', '\\', '.git', 'info', 'refs', '%c0%ae', '?', '#', 'git');
  fc.assert(fc.property(fc.array(piece, { maxLength: 10 }), (parts) => {
    try {
      t.true(isRepositoryName(parseGitPath(`/git/${parts.join('')}/info/refs`).repository));
    } catch (error) {
      if (!(error instanceof TrivetError)) throw error;
    }
  }), { numRuns: 3_000 });
  t.pass();
});

test('a name is decoded once, and only its own `.git` is taken off', (t) => {
  t.is(repositoryName('a%2eb'), 'a.b');
  t.is(repositoryName('a.git'), 'a');
  t.is(repositoryName('a%2egit'), 'a');
  t.throws(() => repositoryName('a%252eb'));
});

test('an error never repeats more than a little of what was sent', (t) => {
  const error = t.throws(() => repositoryName('!'.repeat(10_000)), { instanceOf: TrivetError });
  t.is(String(error.fields['name']).length, 300);
  const broken = t.throws(() => repositoryName(`%${'!'.repeat(10_000)}`), { instanceOf: TrivetError });
  t.is(String(broken.fields['name']).length, 300);
});

test('a path is found below its prefix in that spelling only', (t) => {
  t.is(pathBelow('/api/repos/', '/api/repos/a/b?x#y'), 'a/b');
  t.is(pathBelow('/api/repos/', '/api/repos/'), '');
  for (const url of ['/api/repos', '/%61pi/repos/a', '/api%2frepos/a', '/api/REPOS/a']) {
    t.is(t.throws(() => pathBelow('/api/repos/', url), { instanceOf: TrivetError }).code, 'not_found');
  }
});
