#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// trivet: the operator's command.

// A third of a short command's time is compiling it; `npm start` keeps its compiled code at the same place.
enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/compile'));
const { exitOf } = await import('./exit.ts');
const { makeProgram } = await import('./program.ts');

// Whoever reads the output may have had enough of it, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EPIPE') process.exit(); else throw error; });

try {
  await makeProgram().parseAsync();
} catch (error) {
  // Commander has told what is wrong.
  process.exitCode = exitOf(error);
}
