import test from 'ava';
import { CommanderError } from 'commander';
import { EXIT, exitOf } from './exit.ts';
import { makeProgram } from './program.ts';

const ID = 'a'.repeat(32);
const LOSS = ['accept-data-loss', 'org/repo', '--source', 'node2'];

for (const [args, complaint] of [
  [[], /Usage: trivet /],
  [['repair'], /Usage: trivet repair /],
  [['transactions'], /Usage: trivet transactions /],
  [['nothing'], /unknown command 'nothing'/],
  [['repair', 'lst'], /unknown command 'lst'\n\(Did you mean list\?\)/],
  [['repair', 'show'], /missing required argument 'job'/],
  [['repair', 'show', 'first'], /an id has 32 hexadecimal digits/],
  [['repair', 'show', ID, 'more'], /too many arguments/],
  [['repair', 'run'], /missing required argument 'repository'/],
  [['repair', 'run', '../etc'], /not a repository name/],
  [['repair', 'run', 'org/repo', '--timeout', 'soon'], /a time such as 90s, 10m or 2h/],
  [['repair', 'run', 'org/repo', '--timeout', '-5'], /a time such as 90s, 10m or 2h/],
  [['repair', 'run', 'org/repo', '--attempts', '0'], /a whole number from 1 to 1000/],
  [['repair', 'run', 'org/repo', '--node', '../node2'], /not the name of a node/],
  [['repair', 'list', '--state', 'lost'], /Allowed choices are open, waiting, running, done, cancelled, all/],
  [['repair', 'list', '--limit', '1001'], /a whole number from 1 to 1000/],
  [['repair', 'list', '--limit', '1e2'], /a whole number from 1 to 1000/],
  [['repair', 'list', '--after', 'first'], /an id has 32 hexadecimal digits/],
  [['verify'], /name a repository, or give --all/],
  [['verify', 'org/repo', '--all'], /name a repository, or give --all/],
  [['verify', '--color', 'red'], /unknown option '--color'/],
  [['at-risk', '--kind', 'fire'], /Allowed choices are under_replicated, no_quorum, unavailable/],
  [['transactions', 'list', '--outcome', 'maybe'], /Allowed choices are commit, abort, in_doubt/],
  [['accept-data-loss', 'org/repo'], /required option '--source <node>' not specified/],
  [LOSS, /required option '--reason <text>' not specified/],
  [[...LOSS, '--reason', ' '], /a text of 1 to 500 characters/],
  [[...LOSS, '--reason', 'x'.repeat(501)], /a text of 1 to 500 characters/],
  [['at-risk', '--controller', 'ftp://one'], /not an http\(s\) URL: ftp:\/\/one/],
  [['at-risk', '--controller', 'http://one:8081,two'], /not an http\(s\) URL: two/],
  [['at-risk', '--controller', ','], /no URL at all/],
] as const) {
  test(`\`trivet ${args.join(' ').slice(0, 100)}\` is a mistake, and is told so once`, async (t) => {
    let told = '';
    const program = makeProgram({ writeErr: (text) => { told += text; }, writeOut: () => t.fail('nothing goes to standard output') });
    const error = await t.throwsAsync(program.parseAsync([...args], { from: 'user' }), { instanceOf: CommanderError });
    t.is(exitOf(error), EXIT.usage);
    t.regex(told, complaint);
    t.true(told.split('error: ').length <= 2);
  });
}

test('asking for help is no mistake', async (t) => {
  for (const args of [['--help'], ['help'], ['repair', '--help'], ['repair', 'help', 'run'], ['repair', 'run', '--help']]) {
    let told = '';
    const program = makeProgram({ writeOut: (text) => { told += text; } });
    t.is(exitOf(await t.throwsAsync(program.parseAsync(args, { from: 'user' }))), EXIT.fine);
    t.regex(told, /Usage: trivet/);
  }
});
