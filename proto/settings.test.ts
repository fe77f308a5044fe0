import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigurationError, Settings, type Environment, type SettingFault } from './settings.ts';

function faults(environment: Environment, read: (settings: Settings) => void): readonly SettingFault[] {
  const settings = new Settings(environment, 'TRIVET_');
  read(settings);
  try {
    settings.finish();
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
}

const bounds = { min: 1, max: 100, unit: 'widgets' };

test('all faults are told at once, each with its key', (t) => {
  const settings = new Settings({ TRIVET_COUNT: 'many', TRIVET_MODE: 'c', TRIVET_URLS: 'ftp://x' }, 'TRIVET_');
  settings.text('TRIVET_NEEDED');
  settings.integer('TRIVET_COUNT', 5, bounds);
  settings.choice('TRIVET_MODE', ['a', 'b'], 'a');
  settings.urls('TRIVET_URLS');
  settings.fault('TRIVET_OWN', 'is odd');
  const error = t.throws(() => settings.finish(), { instanceOf: ConfigurationError });
  t.deepEqual(error.message.split('\n'), [
    'wrong configuration:',
    '  TRIVET_NEEDED: is required',
    '  TRIVET_COUNT: must be a whole number of widgets from 1 to 100, not "many"',
    '  TRIVET_MODE: must be one of a, b, not "c"',
    '  TRIVET_URLS: "ftp://x" is not an http URL without a path',
    '  TRIVET_OWN: is odd',
  ]);
});

for (const value of ['0', '101', '1.5', '1e2', '0x10', ' 5', '5 ', '+5', '-5', 'NaN', '٥', '5_0', '99999999999999999999']) {
  test(`${JSON.stringify(value)} is no whole number from 1 to 100`, (t) => {
    t.is(faults({ TRIVET_COUNT: value }, (settings) => settings.integer('TRIVET_COUNT', 5, bounds)).length, 1);
  });
}

test('the bounds themselves are allowed', (t) => {
  for (const value of ['1', '100', '007']) {
    t.is(new Settings({ TRIVET_COUNT: value }, 'TRIVET_').integer('TRIVET_COUNT', 5, bounds), Number(value));
  }
});

test('an empty value is none', (t) => {
  const settings = new Settings({ TRIVET_A: '', TRIVET_B: '', TRIVET_C: '', TRIVET_D: '' }, 'TRIVET_');
  t.is(settings.text('TRIVET_A', 'fallback'), 'fallback');
  t.is(settings.integer('TRIVET_B', 5, bounds), 5);
  t.is(settings.choice('TRIVET_C', ['a', 'b'], 'b'), 'b');
  t.is(settings.optionalText('TRIVET_D'), undefined);
  t.notThrows(() => settings.finish());
});

test('what is right goes through', (t) => {
  const settings = new Settings({ TRIVET_A: 'text', TRIVET_M: 'b', TRIVET_URLS: 'http://a:1/, https://b.example//,' }, 'TRIVET_');
  t.is(settings.text('TRIVET_A'), 'text');
  t.is(settings.choice('TRIVET_M', ['a', 'b'], 'a'), 'b');
  t.deepEqual(settings.urls('TRIVET_URLS'), ['http://a:1', 'https://b.example']);
  t.notThrows(() => settings.finish());
});

for (const value of ['', ',', ' , ', 'localhost:8081', 'http://', '//a', 'http://a/path', 'http://a/?q', 'http://a/#x', 'http://a,nonsense', 'javascript:alert(1)']) {
  test(`${JSON.stringify(value)} is no list of URLs`, (t) => {
    t.is(faults({ TRIVET_URLS: value }, (settings) => settings.urls('TRIVET_URLS')).length, 1);
  });
}

test('a setting with a slip of the pen is named together with what was meant', (t) => {
  for (const key of ['TRIVET_PROT', 'TRIVET_POR', 'TRIVET_PORTS', 'TRIVET_PoRt']) {
    t.deepEqual(faults({ [key]: '1' }, (settings) => settings.integer('TRIVET_PORT', 5, bounds)),
      [{ key, problem: 'is not a setting; did you mean TRIVET_PORT?' }]);
  }
});

test('a setting of another program in the same environment is no fault, nor is anything without the prefix', (t) => {
  const environment = { TRIVET_SOMETHING_ELSE: '1', PORT: '1', TRIVE_PORT: '1', PATH: '/bin' };
  t.deepEqual(faults(environment, (settings) => settings.integer('TRIVET_PORT', 5, bounds)), []);
});

/** A file of a directory that goes with the test. */
function file(t: ExecutionContext, content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-settings-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'secret'), content);
  return join(directory, 'secret');
}

test('a secret comes from its key or from the file that the key names, without the line break at its end', (t) => {
  for (const [content, secret] of [['s e c', 's e c'], ['s e c\n', 's e c'], ['s e c\r\n', 's e c'], ['a\n\n', 'a\n'], [' a ', ' a ']] as const) {
    const settings = new Settings({ TRIVET_KEY_FILE: file(t, content) }, 'TRIVET_');
    t.is(settings.secret('TRIVET_KEY'), secret);
    t.notThrows(() => settings.finish());
  }
  t.is(new Settings({ TRIVET_KEY: 'text', TRIVET_KEY_FILE: '' }, 'TRIVET_').secret('TRIVET_KEY'), 'text');
});

test('a secret that is missing, given twice, empty or unreadable is a fault that does not show it', (t) => {
  const read = (settings: Settings) => settings.secret('TRIVET_KEY');
  const path = file(t, 'hidden');
  const empty = file(t, '\n');
  t.deepEqual(faults({}, read), [{ key: 'TRIVET_KEY', problem: 'is required' }]);
  t.deepEqual(faults({ TRIVET_KEY: 'hidden', TRIVET_KEY_FILE: path }, read), [{ key: 'TRIVET_KEY_FILE', problem: 'and TRIVET_KEY are both set; only one may be' }]);
  t.deepEqual(faults({ TRIVET_KEY_FILE: empty }, read), [{ key: 'TRIVET_KEY_FILE', problem: `names an empty file, ${empty}` }]);
  t.regex(faults({ TRIVET_KEY_FILE: `${path}.gone` }, read)[0]!.problem, /^can not be read: ENOENT/);
  t.regex(faults({ TRIVET_KEY_FILE: join(path, '..') }, read)[0]!.problem, /^can not be read: EISDIR/);
});
