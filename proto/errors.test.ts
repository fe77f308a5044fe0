import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { asTrivetError, ERRORS, TrivetError } from './errors.ts';

const ROOT = resolve(import.meta.dirname, '..');
const rows = Object.entries(ERRORS).map(([code, { status, retry, message }]) => `| \`${code}\` | ${status} | ${retry ? 'yes' : 'no'} | ${message} |`);

test('docs/errors.md lists every code with its status, retry advice and text, and nothing else', (t) => {
  const documented = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').split('\n').filter((line) => line.startsWith('| `'));
  t.deepEqual(documented, rows);
});

test('every code is raised somewhere', (t) => {
  const sources = ['proto', 'controller', 'replica'].flatMap((folder) => (
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.includes('node_modules') && name !== 'errors.ts')
      .map((name) => readFileSync(join(ROOT, folder, name), 'utf8'))));
  t.deepEqual(Object.keys(ERRORS).filter((code) => !sources.some((source) => source.includes(`'${code}'`))), []);
});

test('a status is one of HTTP, and what can be tried again is not the request\'s own fault', (t) => {
  for (const [code, { status, retry }] of Object.entries(ERRORS)) {
    t.true(status >= 400 && status <= 599, code);
    if (retry) t.true([408, 409].includes(status) || status >= 500, code);
  }
});

test('an error has its code, text and particulars, also as JSON', (t) => {
  const cause = new Error('why');
  const error = new TrivetError('body_too_large', { limit: 5 }, { cause });
  t.is(error.message, ERRORS.body_too_large.message);
  t.is(error.status, 413);
  t.false(error.retry);
  t.is(error.cause, cause);
  t.deepEqual(JSON.parse(JSON.stringify(error)), {
    code: 'body_too_large', message: ERRORS.body_too_large.message, retry: false, fields: { limit: 5 },
  });
});

test('an unexpected error becomes internal, and tells a client nothing of itself', (t) => {
  const secret = new Error('/etc/passwd');
  const error = asTrivetError(secret);
  t.is(error.code, 'internal');
  t.is(error.cause, secret);
  t.false(JSON.stringify(error).includes('passwd'));
  t.is(asTrivetError(error), error);
});
