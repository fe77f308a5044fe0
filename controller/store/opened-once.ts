import { openDatabase } from './database.ts';

// For tests: a process that opens the database it is told, and ends.

await (await openDatabase(process.argv[2]!)).close();
