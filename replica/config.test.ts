import { hostname } from 'node:os';
import { resolve } from 'node:path';
import test from 'ava';
import { documentedSettings, recording } from '@trivet/proto/documented-settings.ts';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { readReplicaConfig } from './config.ts';

const NEEDED = { TRIVET_CONTROLLERS: 'http://a:1', TRIVET_TOKEN: '0123456789abcdef', TRIVET_DIRECTORY: '/tmp/x', TRIVET_NODE: 'n' };

test('docs/configuration.md lists the settings that are asked for, and no others', (t) => {
  const { environment, asked } = recording({ ...NEEDED, TRIVET_FAILPOINTS: '/tmp', NODE_ENV: 'test' });
  readReplicaConfig(environment);
  asked.delete('NODE_ENV');
  t.deepEqual([...documentedSettings('Node').keys()].sort(), [...asked].sort());
});

test('a default that is documented is the one that is used', (t) => {
  const plain = JSON.stringify(readReplicaConfig(NEEDED));
  const fallbacks = [...documentedSettings('Node')].filter(([key, value]) => !(key in NEEDED) && value !== 'none')
    .map(([key, value]) => [key, value.replace('HOST:PORT', '127.0.0.1:8082')]);
  t.true(fallbacks.length > 12);
  // Whatever is set to its documented default changes nothing.
  t.is(JSON.stringify(readReplicaConfig({ ...NEEDED, ...Object.fromEntries(fallbacks) as Record<string, string> })), plain);
});

test('name, URL and directory follow from what is there', (t) => {
  const config = readReplicaConfig({ ...NEEDED, TRIVET_NODE: undefined, TRIVET_HOST: '10.0.0.1', TRIVET_PORT: '99', TRIVET_DIRECTORY: 'data' });
  t.like(config, { node: hostname(), url: 'http://10.0.0.1:99', directory: resolve('data') });
});

test('several controllers are several URLs', (t) => {
  t.deepEqual(readReplicaConfig({ ...NEEDED, TRIVET_CONTROLLERS: 'http://a:1/,https://b' }).controllers, ['http://a:1', 'https://b']);
});

test('all faults are told at once', (t) => {
  const error = t.throws(() => readReplicaConfig({
    TRIVET_NODE: 'no spaces', TRIVET_TOKEN: 'short', TRIVET_PORT: 'http', TRIVET_INGEST: 'slow', TRIVET_URL: 'node1:8082',
    TRIVET_MAX_PACK_BYTES: '1', TRIVET_CATCH_UP_MS: '-1', TRIVET_JOURNALBYTES: '5', TRIVET_FAILPOINTS: '/tmp',
  }), { instanceOf: ConfigurationError });
  t.deepEqual(error.faults.map(({ key }) => key).sort(), [
    'TRIVET_CATCH_UP_MS', 'TRIVET_CONTROLLERS', 'TRIVET_DIRECTORY', 'TRIVET_FAILPOINTS', 'TRIVET_INGEST', 'TRIVET_JOURNALBYTES',
    'TRIVET_MAX_PACK_BYTES', 'TRIVET_NODE', 'TRIVET_PORT', 'TRIVET_TOKEN', 'TRIVET_URL',
  ]);
});

for (const node of ['-a', '.a', 'a/b', 'a b', '../a', 'é', 'a'.repeat(64), 'a\n']) {
  test(`${JSON.stringify(node)} is no name of a node`, (t) => {
    t.throws(() => readReplicaConfig({ ...NEEDED, TRIVET_NODE: node }), { instanceOf: ConfigurationError, message: /TRIVET_NODE/ });
  });
}

test('failpoints exist only under NODE_ENV=test', (t) => {
  t.throws(() => readReplicaConfig({ ...NEEDED, NODE_ENV: 'production', TRIVET_FAILPOINTS: '/tmp' }), { message: /TRIVET_FAILPOINTS/ });
  t.is(readReplicaConfig({ ...NEEDED, NODE_ENV: 'test', TRIVET_FAILPOINTS: '/tmp' }).failpoints, '/tmp');
});

test('the settings of controllers in the same environment are no fault', (t) => {
  const others = Object.fromEntries([...documentedSettings('Controller').keys()].filter((key) => !documentedSettings('Node').has(key)).map((key) => [key, 'x']));
  t.true(Object.keys(others).length > 10);
  t.notThrows(() => readReplicaConfig({ ...NEEDED, ...others }));
});
