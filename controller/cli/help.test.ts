import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import test from 'ava';
import type { Command } from 'commander';
import { EXIT } from './exit.ts';
import { makeProgram } from './program.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Every command that does something, by what a user types. */
function commandsOf(command: Command, path: string[] = []): [string, Command][] {
  const name = [...path, command.name()];
  const children = command.commands.filter((child) => child.name() !== 'help');
  return children.length === 0 ? [[name.join(' '), command]] : children.flatMap((child) => commandsOf(child, name));
}

function helpOf(command: Command): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => { help += text; } }).outputHelp();
  return help;
}

/** What a manual says: each command's section, by the command. */
function sections(manual: string): Map<string, string> {
  return new Map(manual.split(/^## /m).slice(1).map((section): [string, string] => [section.split('\n')[0]!, section]));
}

const commands = commandsOf(makeProgram());
const manual = sections(readFileSync(join(ROOT, 'docs/cli.md'), 'utf8'));

test('docs/cli.md lists every command, and no other', (t) => {
  t.deepEqual([...manual.keys()].filter((title) => title.startsWith('trivet ')), commands.map(([name]) => name).sort(inOrderOf([...manual.keys()])));
});

test('docs/cli.md lists every option of each command, and no other', (t) => {
  const optionsIn = (section: string) => [...section.matchAll(/^\| `(--[^`]+)` \|/gm)].map(([, flags]) => flags).sort();
  for (const [name, command] of commands) {
    t.deepEqual(optionsIn(manual.get(name)!), command.options.map((option) => option.flags).sort(), name);
  }
  const everywhere = makeProgram().options.filter((option) => !option.hidden).map((option) => option.flags);
  t.deepEqual(optionsIn(manual.get('For every command')!), [...everywhere, '--help'].sort());
});

test('docs/cli.md names the arguments of each command', (t) => {
  for (const [name, command] of commands) {
    for (const argument of command.registeredArguments) t.true(manual.get(name)!.includes(`<${argument.name()}>`), `${name} <${argument.name()}>`);
  }
});

test('docs/cli.md lists every exit status', (t) => {
  const listed = [...manual.get('For every command')!.matchAll(/^\| (\d+) \|/gm)].map(([, status]) => Number(status));
  t.deepEqual(listed, Object.values(EXIT));
});

test('the help of every command has an example that begins with it, and tells the options of all', (t) => {
  for (const [name, command] of commands) {
    const help = helpOf(command);
    t.regex(help, /^Examples:$/m, name);
    t.regex(help, new RegExp(`^  \\$ ${name}( .*)? +# \\S`, 'm'), name);
    for (const option of ['--controller <url>', '--json', '--no-colour']) t.true(help.includes(option), `${name} ${option}`);
  }
});

test('every example is a command that can be parsed', (t) => {
  const known = new Map(commands);
  for (const [name, command] of commands) {
    for (const [, example] of helpOf(command).matchAll(/^ {2}\$ (trivet .*?)(?: [|>]+ .*?)? +# /gm)) {
      const called = [...known.keys()].find((candidate) => `${example} `.startsWith(`${candidate} `));
      t.truthy(called, `${name}: ${example}`);
      const flags = [...example!.matchAll(/ (--[a-z-]+)/g)].map(([, flag]) => flag!);
      const options = [...known.get(called!)!.options, ...makeProgram().options].flatMap((option) => [option.long]);
      t.deepEqual(flags.filter((flag) => !options.includes(flag)), [], `${name}: ${example}`);
    }
  }
});

test('the groups of commands have examples too', (t) => {
  const program = makeProgram();
  for (const command of [program, ...program.commands.filter((child) => child.commands.length > 0)]) t.regex(helpOf(command), /^Examples:$/m);
});

test('every command has a file of its own', (t) => {
  const files = readdirSync(import.meta.dirname);
  for (const [name] of commands) t.true(files.includes(`${name.split(' ').slice(1).join('-')}.ts`), name);
});

test('npx and npm run find the command, whatever Node the machine has itself', async (t) => {
  // As in a terminal outside of npm: what `npm test` has put on the PATH is taken off.
  const path = process.env['PATH']!.split(delimiter).filter((directory) => !directory.includes('node_modules')).join(delimiter);
  for (const command of [['npx', '--no-install', 'trivet', '--help'], ['npm', 'run', '--silent', 'trivet', '--', '--help']]) {
    const { status, stdout, stderr } = spawnSync(command[0]!, command.slice(1), { cwd: ROOT, env: { ...process.env, PATH: path }, encoding: 'utf8' });
    t.is(status, 0, stderr);
    t.regex(stdout, /^Usage: trivet /);
  }
});

function inOrderOf(order: readonly string[]): (a: string, b: string) => number {
  return (a, b) => order.indexOf(a) - order.indexOf(b);
}
