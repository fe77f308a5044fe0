// Reads Prometheus' text format 0.0.4 strictly, by its documentation and without the library that writes it.

export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)(?: -?\\d+)?$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];

/** @throws Error at the first line that breaks a rule of the format */
export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: [string, Family] | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const meta = new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`).exec(line);
    if (meta !== null) {
      const [, kind, name = '', rest = ''] = meta;
      if (current?.[0] !== name) {
        if (families.has(name)) throw new Error(`${name} comes in two groups`);
        current = [name, { type: 'untyped', help: '', samples: [] }];
        families.set(...current);
      }
      if (kind === 'HELP') current[1].help = rest;
      else if (!TYPES.includes(rest)) throw new Error(`${name} has the type ${rest}`);
      else if (current[1].samples.length > 0) throw new Error(`the type of ${name} comes after its samples`);
      else current[1].type = rest;
      continue;
    }
    if (line.startsWith('#')) continue;
    const match = SAMPLE.exec(line);
    if (match === null) throw new Error(`no sample: ${line}`);
    const sample = { name: match[1]!, labels: parseLabels(match[2] ?? ''), value: parseValue(match[3]!) };
    if (current === undefined || !belongs(sample.name, ...current)) throw new Error(`${sample.name} stands in the group of ${current?.[0]}`);
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(key)) throw new Error(`twice: ${key}`);
    seen.add(key);
    current[1].samples.push(sample);
  }
  return families;
}

function belongs(name: string, family: string, { type }: Family): boolean {
  if (type === 'histogram') return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name);
  if (type === 'summary') return [family, `${family}_sum`, `${family}_count`].includes(name);
  return name === family;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== '';) {
    const match = LABEL.exec(rest);
    if (match === null) throw new Error(`no labels: ${text}`);
    if (match[1]! in labels) throw new Error(`the label ${match[1]} stands twice: ${text}`);
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
    rest = rest.slice(match[0].length);
  }
  return labels;
}

function parseValue(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  const value = Number(text);
  if (text !== 'NaN' && Number.isNaN(value)) throw new Error(`no value: ${text}`);
  return value;
}
