import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type ColumnModel, readModels, type TableModel } from '../../prisma/models.ts';
import { sqliteSchema } from '../../prisma/sqlite-schema.ts';
import type { Sql } from './sql.ts';
import { mariadbTest, sqliteTest } from './stores-under-test.ts';

const SCHEMA = readFileSync(join(import.meta.dirname, '..', '..', 'prisma', 'schema.prisma'), 'utf8');
const BY_TEXT = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

mariadbTest('the migrated database is what the models mean', async (t, store) => {
  const db = await store.open();
  const models = readModels(SCHEMA);
  t.deepEqual(await mysqlTables(db.sql), models.map((model) => describe(model, mysqlType)).sort(BY_TEXT));
  const collations = await db.sql.all(
    `SELECT DISTINCT collation_name AS name FROM information_schema.columns
     WHERE table_schema = DATABASE() AND table_name <> '_prisma_migrations' AND collation_name IS NOT NULL`,
  );
  t.deepEqual(collations.map((row) => row['name']), ['utf8mb4_bin']);
});

sqliteTest('the migrated database is what the models mean', async (t, store) => {
  const db = await store.open();
  const models = readModels(sqliteSchema(SCHEMA));
  t.deepEqual(await sqliteTables(db.sql), models.map((model) => describe(model, sqliteType)).sort(BY_TEXT));
});

test('a column that only the models have is drift', (t) => {
  const drifted = SCHEMA.replace('  kind ', '  extra Int\n  kind ');
  t.notDeepEqual(readModels(drifted), readModels(SCHEMA));
  t.is(readModels(SCHEMA).length, 14);
});

interface Description {
  name: string;
  columns: string[];
  primaryKey: string[];
  uniqueKeys: string[][];
  indexes: string[][];
  foreignKeys: string[];
}

function describe(model: TableModel, typeOf: (column: ColumnModel) => string): Description {
  return {
    name: model.name,
    columns: model.columns.map((column) => (
      `${column.name} ${typeOf(column)}${column.nullable ? '' : ' not null'}${column.autoincrement ? ' auto' : ''}`)),
    primaryKey: model.primaryKey,
    uniqueKeys: model.uniqueKeys.sort(BY_TEXT),
    indexes: model.indexes.sort(BY_TEXT),
    foreignKeys: model.foreignKeys.map(foreignKey).sort(),
  };
}

function foreignKey(key: { columns: string[]; table: string; references: string[]; onDelete: string }): string {
  return `${key.columns.join()} -> ${key.table} ${key.references.join()} ${key.onDelete}`;
}

function mysqlType({ type, nativeType }: ColumnModel): string {
  const byType: Record<string, string> = { Int: 'int', BigInt: 'bigint', Boolean: 'tinyint(1)', Float: 'double' };
  return nativeType?.toLowerCase() ?? byType[type] ?? `no type for ${type}`;
}

function sqliteType({ type }: ColumnModel): string {
  const byType: Record<string, string> = {
    Int: 'INTEGER', BigInt: 'BIGINT', Boolean: 'BOOLEAN', String: 'TEXT', DateTime: 'DATETIME', Float: 'DOUBLE',
  };
  return byType[type] ?? `no type for ${type}`;
}

async function mysqlTables(sql: Sql): Promise<Description[]> {
  const names = await sql.all(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = DATABASE() AND table_name <> '_prisma_migrations'`,
  );
  const tables: Description[] = [];
  for (const { name } of names) {
    const columns = await sql.all(
      `SELECT column_name AS name, column_type AS type, is_nullable AS nullable, extra
       FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position`,
      [name as string],
    );
    const parts = await sql.all(
      `SELECT index_name AS name, non_unique AS plain, column_name AS part
       FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ?
       ORDER BY index_name, seq_in_index`, [name as string],
    );
    const keys = await sql.all(
      `SELECT k.constraint_name AS name, k.column_name AS part, k.referenced_table_name AS target,
         k.referenced_column_name AS reference, c.delete_rule AS rule
       FROM information_schema.key_column_usage k
       JOIN information_schema.referential_constraints c
         ON c.constraint_schema = k.table_schema AND c.constraint_name = k.constraint_name
       WHERE k.table_schema = DATABASE() AND k.table_name = ? ORDER BY k.constraint_name, k.ordinal_position`,
      [name as string],
    );
    const indexes = [...Map.groupBy(parts, (row) => row['name']).values()].map((rows) => ({
      name: rows[0]!['name'], plain: Number(rows[0]!['plain']) === 1, columns: rows.map((row) => String(row['part'])),
    }));
    tables.push({
      name: String(name),
      columns: columns.map((row) => (
        // MariaDB still names the display width of whole numbers, which MySQL 8 dropped.
        `${row['name']} ${String(row['type']).replace(/^(int|bigint)\(\d+\)/, '$1')}${
          row['nullable'] === 'YES' ? '' : ' not null'}${row['extra'] === 'auto_increment' ? ' auto' : ''}`)),
      primaryKey: indexes.find((index) => index.name === 'PRIMARY')?.columns ?? [],
      uniqueKeys: indexes.filter((index) => !index.plain && index.name !== 'PRIMARY').map((index) => index.columns)
        .sort(BY_TEXT),
      indexes: indexes.filter((index) => index.plain).map((index) => index.columns).sort(BY_TEXT),
      foreignKeys: [...Map.groupBy(keys, (row) => row['name']).values()].map((rows) => foreignKey({
        columns: rows.map((row) => String(row['part'])),
        table: String(rows[0]!['target']),
        references: rows.map((row) => String(row['reference'])),
        onDelete: String(rows[0]!['rule']),
      })).sort(),
    });
  }
  return tables.sort(BY_TEXT);
}

async function sqliteTables(sql: Sql): Promise<Description[]> {
  const made = await sql.all(
    `SELECT name, sql FROM sqlite_master
     WHERE type = 'table' AND name <> '_prisma_migrations' AND name NOT LIKE 'sqlite_%'`,
  );
  const tables: Description[] = [];
  for (const table of made) {
    const name = String(table['name']);
    const columns = await sql.all(`PRAGMA table_info("${name}")`);
    const lists: { origin: unknown; unique: boolean; columns: string[] }[] = [];
    for (const index of await sql.all(`PRAGMA index_list("${name}")`)) {
      const parts = await sql.all(`PRAGMA index_info("${index['name']}")`);
      lists.push({
        origin: index['origin'],
        unique: Number(index['unique']) === 1,
        columns: parts.map((row) => String(row['name'])),
      });
    }
    const keys = await sql.all(`PRAGMA foreign_key_list("${name}")`);
    const own = lists.filter((list) => list.origin === 'c');
    const auto = String(table['sql']).includes('AUTOINCREMENT');
    tables.push({
      name,
      columns: columns.map((row) => (
        `${row['name']} ${row['type']}${Number(row['notnull']) === 1 ? ' not null' : ''}${
          auto && Number(row['pk']) === 1 ? ' auto' : ''}`)),
      primaryKey: columns.filter((row) => Number(row['pk']) > 0).sort((a, b) => Number(a['pk']) - Number(b['pk']))
        .map((row) => String(row['name'])),
      uniqueKeys: own.filter((list) => list.unique).map((list) => list.columns).sort(BY_TEXT),
      indexes: own.filter((list) => !list.unique).map((list) => list.columns).sort(BY_TEXT),
      foreignKeys: [...Map.groupBy(keys, (row) => row['id']).values()].map((rows) => foreignKey({
        columns: rows.map((row) => String(row['from'])),
        table: String(rows[0]!['table']),
        references: rows.map((row) => String(row['to'])),
        onDelete: String(rows[0]!['on_delete']),
      })).sort(),
    });
  }
  return tables.sort(BY_TEXT);
}
