import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hasProgram } from './programs.ts';

// npm test: installs what the tests need and can be installed, runs them all, and ends in one line of counts.

/** Programs that some tests need beside Node and git, and the Debian package of each. */
const NEEDS: readonly { what: string; debianPackage: string; tests: string; here(): boolean }[] = [
  { what: 'MariaDB server', debianPackage: 'mariadb-server', tests: 'everything on a database server', here: () => hasProgram('mariadbd') && hasProgram('mariadb-install-db') },
  { what: 'dulwich', debianPackage: 'python3-dulwich', tests: 'pushing and fetching with dulwich', here: () => hasPythonModule('dulwich') },
  { what: 'libgit2 for Python', debianPackage: 'python3-pygit2', tests: 'pushing and fetching with libgit2', here: () => hasPythonModule('pygit2') },
  { what: 'JGit', debianPackage: 'jgit-cli', tests: 'pushing and fetching with JGit', here: () => hasProgram('jgit') },
  { what: 'docker-compose', debianPackage: 'docker-compose', tests: 'the compose file, as compose reads it', here: () => hasProgram('docker-compose') },
  { what: 'HAProxy', debianPackage: 'haproxy', tests: 'the load balancer\'s settings, as it reads them', here: () => hasProgram('haproxy') },
  { what: 'Prometheus', debianPackage: 'prometheus', tests: 'the settings of Prometheus, as it reads them', here: () => hasProgram('promtool') },
];

const ROOT = resolve(import.meta.dirname, '..');

if (spawnSync('git', ['--version']).status !== 0) {
  console.error('git is needed to run Trivet and its tests; please install it.');
  process.exit(1);
}
installMissing();
for (const need of missing()) console.log(`missing: ${need.what} (Debian: ${need.debianPackage}). Skipped: ${need.tests}.`);
const { status, output } = await runAva(process.argv.slice(2));
console.log(closingLine(output, status));
process.exit(status);

function missing() {
  return NEEDS.filter((need) => !need.here());
}

/** With root rights on Debian, gets the missing packages; anywhere else does nothing. */
function installMissing(): void {
  const packages = missing().map((need) => need.debianPackage);
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return;
  console.log(`installing for the tests: ${packages.join(' ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update', '-qq'], ['install', '-y', '-qq', '--no-install-recommends', ...packages]]) {
    const result = spawnSync('apt-get', args, { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
    if (result.status !== 0) {
      console.log(`apt-get ${args[0]} failed with status ${result.status}`);
      return;
    }
  }
}

function runAva(args: readonly string[]): Promise<{ status: number; output: string }> {
  return new Promise((done) => {
    const ava = spawn(process.execPath, [join(ROOT, 'node_modules', '.bin', 'ava'), ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    ava.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      output += chunk.toString();
    });
    ava.once('close', (code) => done({ status: code ?? 1, output }));
  });
}

/**
 * What ava reported, in one line: it names every test as it ends, and at the end counts only the kinds that occurred.
 * Failures that aren't tests (an uncaught exception, a file that doesn't load) count too.
 */
function closingLine(text: string, exitStatus: number): string {
  const lines = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
  const passed = lines(/^\s*✔ /gm);
  const skipped = lines(/^\s*- \[(?:skip|todo)\] /gm);
  const tests = lines(/^\s*✘ \[fail\]: /gm);
  const others = [...text.matchAll(/^\s*(\d+) (?:hooks? failed|uncaught exceptions?|unhandled rejections?)/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
  const failed = exitStatus !== 0 ? Math.max(tests + others, 1) : tests + others;
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

function hasPythonModule(name: string): boolean {
  return spawnSync('/usr/bin/python3', ['-c', `import ${name}`], { stdio: 'ignore' }).status === 0;
}
