import { hostname } from 'node:os';
import test from 'ava';
import { documentedSettings, recording } from '@trivet/proto/documented-settings.ts';
import { ConfigurationError } from '@trivet/proto/settings.ts';
import { readControllerConfig } from './config.ts';

const NEEDED = { TRIVET_STORE: 'file:/tmp/x.db', TRIVET_TOKEN: '0123456789abcdef' };

test('docs/configuration.md lists the settings that are asked for, and no others', (t) => {
  const { environment, asked } = recording({ ...NEEDED, TRIVET_FAILPOINTS: '/tmp', NODE_ENV: 'test' });
  readControllerConfig(environment);
  asked.delete('NODE_ENV');
  t.deepEqual([...documentedSettings('Controller').keys()].sort(), [...asked].sort());
});

test('a default that is documented is the one that is used', (t) => {
  const plain = JSON.stringify(readControllerConfig({ ...NEEDED, TRIVET_CONTROLLER_NAME: 'c' }));
  const fallbacks = [...documentedSettings('Controller')].filter(([key, value]) => !(key in NEEDED) && !/^(none|host name.*)$/.test(value));
  t.true(fallbacks.length > 20);
  // Whatever is set to its documented default changes nothing.
  t.is(JSON.stringify(readControllerConfig({ ...NEEDED, TRIVET_CONTROLLER_NAME: 'c', ...Object.fromEntries(fallbacks) })), plain);
});

test('the name is the host\'s and the process\'s when none is given', (t) => {
  t.is(readControllerConfig(NEEDED).controller, `${hostname()}-${process.pid}`);
});

test('all faults are told at once', (t) => {
  const error = t.throws(() => readControllerConfig({
    TRIVET_STORE: 'postgres://x', TRIVET_TOKEN: 'short', TRIVET_PORT: '70000', TRIVET_MAX_PUSH_BYTES: '10M', TRIVET_VOTE_MS: '0',
    TRIVET_LOG_LEVEL: 'loud', TRIVET_FAILPOINTS: '/tmp', TRIVET_REPLICATON_FACTOR: '3', NODE_ENV: 'production',
  }), { instanceOf: ConfigurationError });
  t.deepEqual(error.faults.map(({ key }) => key).sort(), [
    'TRIVET_FAILPOINTS', 'TRIVET_LOG_LEVEL', 'TRIVET_MAX_PUSH_BYTES', 'TRIVET_PORT', 'TRIVET_REPLICATON_FACTOR', 'TRIVET_STORE', 'TRIVET_TOKEN', 'TRIVET_VOTE_MS',
  ]);
});

test('what is required is required', (t) => {
  const error = t.throws(() => readControllerConfig({}), { instanceOf: ConfigurationError });
  t.deepEqual(error.faults, [{ key: 'TRIVET_STORE', problem: 'is required' }, { key: 'TRIVET_TOKEN', problem: 'is required' }]);
});

test('a fault never shows the token', (t) => {
  const error = t.throws(() => readControllerConfig({ TRIVET_STORE: 'file:x', TRIVET_TOKEN: 'secret' }));
  t.false(error.message.includes('secret'));
});

for (const store of ['file:', 'mysql://', 'mysql://host', 'mysql://host/db?ssl-mode=x', 'sqlite', 'MYSQL://x', ' file:/x']) {
  test(`${JSON.stringify(store)} is no store`, (t) => {
    t.throws(() => readControllerConfig({ ...NEEDED, TRIVET_STORE: store }), { instanceOf: ConfigurationError, message: /TRIVET_STORE/ });
  });
}

test('a certificate that can not be read, or comes without its key, is a fault', (t) => {
  const error = t.throws(() => readControllerConfig({ ...NEEDED, TRIVET_STORE_TLS_CA: '/not/there.pem', TRIVET_STORE_TLS_CERT: import.meta.filename }), { instanceOf: ConfigurationError });
  t.deepEqual(error.faults.map(({ key }) => key), ['TRIVET_STORE_TLS_CA', 'TRIVET_STORE_TLS_CERT']);
  t.regex(error.faults[0]!.problem, /ENOENT/);
  const path = import.meta.filename;
  t.regex(readControllerConfig({ ...NEEDED, TRIVET_STORE_TLS_CERT: path, TRIVET_STORE_TLS_KEY: path }).storeTls.key ?? '', /^import/);
});

test('failpoints exist only under NODE_ENV=test', (t) => {
  for (const NODE_ENV of [undefined, '', 'production', 'testing']) {
    t.throws(() => readControllerConfig({ ...NEEDED, NODE_ENV, TRIVET_FAILPOINTS: '/tmp' }), { message: /TRIVET_FAILPOINTS/ });
  }
  t.is(readControllerConfig({ ...NEEDED, NODE_ENV: 'test', TRIVET_FAILPOINTS: '/tmp' }).failpoints, '/tmp');
});

test('the settings of nodes in the same environment are no fault', (t) => {
  const nodes = Object.fromEntries([...documentedSettings('Node').keys()].filter((key) => !documentedSettings('Controller').has(key)).map((key) => [key, 'x']));
  t.true(Object.keys(nodes).length > 10);
  t.notThrows(() => readControllerConfig({ ...NEEDED, ...nodes }));
});
