import { defineConfig } from 'prisma/config';

// For Prisma's own command line, as in `npx prisma migrate deploy --config prisma/prisma.config.ts`.
// Trivet itself doesn't read this file: a controller applies the migrations when it starts.
export default defineConfig({
  schema: 'schema.prisma',
  migrations: { path: 'migrations/mysql' },
  datasource: { url: process.env['DATABASE_URL'] ?? '' },
});
