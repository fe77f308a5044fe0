/**
 * The SQLite twin of the MySQL schema, derived by text so that there is one set of models.
 * MySQL's column types go (SQLite has none of them), and an autoincrementing key becomes Int, the only type SQLite
 * counts up by itself; it holds 64 bits there as well.
 */
export function sqliteSchema(mysqlSchema: string): string {
  return mysqlSchema
    .replace('provider = "mysql"', 'provider = "sqlite"')
    .replace('"./generated/mysql"', '"./sqlite"')
    .replace(/ @db\.\w+(\(\d+\))?/g, '')
    .replace(/BigInt( +@id @default\(autoincrement\(\)\))/g, 'Int$1');
}
