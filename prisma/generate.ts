import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { sqliteSchema } from './sqlite-schema.ts';

// Writes prisma/generated/{mysql,sqlite}: the typed clients of schema.prisma. Runs after every install, offline.

const here = import.meta.dirname;
const generated = join(here, 'generated');
const sqliteSchemaFile = join(generated, 'sqlite.prisma');

rmSync(generated, { recursive: true, force: true });
mkdirSync(generated, { recursive: true });
writeFileSync(sqliteSchemaFile, sqliteSchema(readFileSync(join(here, 'schema.prisma'), 'utf8')));
// One after the other: side by side they are no faster on two cores, and their output would mix.
await generate(join(here, 'schema.prisma'));
await generate(sqliteSchemaFile);

function generate(schema: string): Promise<void> {
  const cli = createRequire(import.meta.url).resolve('prisma/build/index.js');
  const child = spawn(process.execPath, [cli, 'generate', '--schema', schema, '--no-hints'], {
    cwd: here,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      // The CLI would download its schema engine, which `generate` never starts. /bin/false, not /bin/true: should
      // any command start it after all, it must fail rather than report that it had done something.
      PRISMA_SCHEMA_ENGINE_BINARY: '/bin/false',
      CHECKPOINT_DISABLE: '1',
    },
  });
  // The CLI reports progress on stderr, which is shown only when something went wrong.
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`prisma generate of ${schema} ended with ${signal ?? code}:\n${Buffer.concat(said)}`));
    });
  });
}
