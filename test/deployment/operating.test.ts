import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import type { Command } from 'commander';
import { parse, parseAllDocuments } from 'yaml';
import { documentedSettings } from '@trivet/proto/documented-settings.ts';
import { makeProgram } from '../../controller/cli/program.ts';
import type { ComposeFile } from './compose-rules.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8');
const blocks = [...page.matchAll(/^```sh.*\n([\s\S]*?)^```$/gm)].map(([, commands]) => commands!);
const typed = [...blocks, ...[...page.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!)].join('\n');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

/** What is wrong with a line that begins with `trivet`, undefined when the command line knows every word of it. */
function faultOf(line: string): string | undefined {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!).slice(1);
  let command: Command = makeProgram();
  while (words[0] !== undefined && command.commands.some((child) => child.name() === words[0])) {
    const name = words.shift();
    command = command.commands.find((child) => child.name() === name)!;
  }
  if (command.commands.length > 0) return `there is no command "${words[0] ?? ''}"`;
  for (const word of words.filter((each) => each.startsWith('--'))) {
    if (![...command.options, ...makeProgram().options].some((option) => option.long === word)) return `there is no option ${word}`;
  }
  return undefined;
}

test('every trivet command on the page is one that there is, with options that it has', (t) => {
  const lines = [...typed.matchAll(/(?:^|until |;\s*|\n)\s*(trivet [a-z][^\n;|]*)/g)].map(([, line]) => line!);
  t.true(lines.length >= 10);
  for (const line of lines) t.is(faultOf(line), undefined, line);
});

test('control: a trivet command with a slip of the pen is found', (t) => {
  t.is(faultOf('trivet at-rsik'), 'there is no command "at-rsik"');
  t.is(faultOf('trivet repair'), 'there is no command ""');
  t.is(faultOf('trivet at-risk --kin no_quorum'), 'there is no option --kin');
});

test('every setting on the page is one that is documented, or one of the compose file', (t) => {
  const known = new Set([...documentedSettings('Controller').keys(), ...documentedSettings('Node').keys(), ...[...read('docker-compose.yml').matchAll(/\$\{(TRIVET_\w+):/g)].map(([, key]) => key!)]);
  t.deepEqual([...new Set([...page.matchAll(/\bTRIVET_\w+/g)].map(([key]) => key))].filter((key) => !known.has(key)), []);
});

test('every file and link on the page leads somewhere', (t) => {
  for (const [, link] of page.matchAll(/\]\(([^)#]+)/g)) t.true(existsSync(join(ROOT, 'docs', link!)), link);
  const files = [...new Set([...page.matchAll(/\bdeploy\/[\w./-]*\w/g)].map(([path]) => path))];
  t.true(files.length > 5);
  for (const file of files) t.true(existsSync(join(ROOT, file)), file);
});

test('every service and object that commands name is one that there is', (t) => {
  const services = new Set(['docker-compose.yml', 'deploy/compose/node4.yml'].flatMap((file) => Object.keys((parse(read(file), { merge: true }) as ComposeFile).services)));
  const parts = [...typed.matchAll(/\b(?:mysql|controller\d|node\d|balancer|prometheus|grafana)\b/g)].map(([name]) => name);
  t.deepEqual([...new Set(parts)].filter((name) => !services.has(name)), []);
  const objects = new Set(['controllers.yaml', 'nodes.yaml'].flatMap((file) => parseAllDocuments(read(`deploy/kubernetes/${file}`)).map((document) => {
    const { kind, metadata } = document.toJS() as { kind: string; metadata: { name: string } };
    return `${kind.toLowerCase()}/${metadata.name}`;
  })));
  const named = [...typed.matchAll(/\b(deployment|statefulset)\/([a-z]+)\b/g)];
  t.true(named.length >= 3);
  for (const [, kind, name] of named) t.true(objects.has(`${kind}/${name}`), `${kind}/${name}`);
});
