/** One column as a schema means it. */
export interface ColumnModel {
  name: string;
  /** Prisma's type, without `?`. */
  type: string;
  /** MySQL's type, such as `Char(32)`, where the schema names one. */
  nativeType: string | undefined;
  nullable: boolean;
  autoincrement: boolean;
}

/** One table as a schema means it; every list of columns is in the order of its key. */
export interface TableModel {
  name: string;
  columns: ColumnModel[];
  primaryKey: string[];
  uniqueKeys: string[][];
  indexes: string[][];
  foreignKeys: { columns: string[]; table: string; references: string[]; onDelete: string }[];
}

/** The tables of a Prisma schema, as far as this project uses its language. Throws Error for what it can't read. */
export function readModels(schema: string): TableModel[] {
  const models = [...schema.matchAll(/^model (\w+) \{\n(.*?)^\}/gms)].map(([, model, body]) => (
    { model: model!, lines: body!.split('\n').map((line) => line.trim()).filter(isMeant) }));
  const tables = new Map(models.map(({ model, lines }) => [model, /@@map\("(\w+)"\)/.exec(lines.join('\n'))![1]!]));
  const columns = new Map(models.map(({ model, lines }) => [model, columnNames(lines, tables)]));
  return models.map(({ model, lines }) => {
    const names = columns.get(model)!;
    const key = (list: string) => list.split(',').map((field) => known(names, field.trim()));
    const table: TableModel = {
      name: tables.get(model)!, columns: [], primaryKey: [], uniqueKeys: [], indexes: [], foreignKeys: [],
    };
    for (const line of lines) {
      const block = /^@@(id|unique|index|map)\((?:\[(.*)\]|".*")\)$/.exec(line);
      const field = /^(\w+)\s+(\w+)(\[\]|\?)?(.*)$/.exec(line);
      if (block?.[1] === 'id') table.primaryKey = key(block[2]!);
      else if (block?.[1] === 'unique') table.uniqueKeys.push(key(block[2]!));
      else if (block?.[1] === 'index') table.indexes.push(key(block[2]!));
      else if (block === null && field !== null) {
        const [, name, type, mark, rest] = field as unknown as [string, string, string, string | undefined, string];
        const target = tables.get(type);
        if (target !== undefined) {
          const relation = /@relation\(fields: \[(.*?)\], references: \[(.*?)\], onDelete: (\w+)\)/.exec(rest);
          if (relation === null) continue;
          table.foreignKeys.push({
            columns: key(relation[1]!),
            table: target,
            references: relation[2]!.split(',').map((other) => known(columns.get(type)!, other.trim())),
            onDelete: relation[3]!.toUpperCase(),
          });
          continue;
        }
        table.columns.push({
          name: known(names, name),
          type,
          nativeType: /@db\.(\w+(?:\(\d+\))?)/.exec(rest)?.[1],
          nullable: mark === '?',
          autoincrement: rest.includes('autoincrement()'),
        });
        if (/@id\b/.test(rest)) table.primaryKey = [known(names, name)];
        if (/@unique\b/.test(rest)) table.uniqueKeys.push([known(names, name)]);
      } else if (block?.[1] !== 'map') {
        throw new Error(`can't read "${line}" of model ${model}`);
      }
    }
    return table;
  });
}

function isMeant(line: string): boolean {
  return line !== '' && !line.startsWith('//');
}

/** Field name → column name. */
function columnNames(lines: string[], tables: ReadonlyMap<string, string>): Map<string, string> {
  const fields = lines.map((line) => /^(\w+)\s+(\w+)/.exec(line)).filter((field) => field !== null);
  return new Map(fields.filter((field) => !tables.has(field[2]!)).map((field) => (
    [field[1]!, / @map\("(\w+)"\)/.exec(field.input)?.[1] ?? field[1]!])));
}

function known(names: ReadonlyMap<string, string>, field: string): string {
  const column = names.get(field);
  if (column === undefined) throw new Error(`no field ${field}`);
  return column;
}
