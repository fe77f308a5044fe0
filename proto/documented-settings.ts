import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Environment } from './settings.ts';

const PATH = resolve(import.meta.dirname, '../docs/configuration.md');

/** For tests: the settings that docs/configuration.md lists for a program, with their defaults as they are written there. */
export function documentedSettings(program: 'Controller' | 'Node'): Map<string, string> {
  const section = readFileSync(PATH, 'utf8').split('\n## ').find((text) => text.startsWith(`${program}\n`)) ?? '';
  return new Map([...section.matchAll(/^\| `(TRIVET_\w+)`[^|]*\| ([^|]*) \| [^|]+ \| [^|]+ \|$/gm)].map(([, key, fallback]) => [key!, fallback!.replaceAll('`', '')]));
}

/** For tests: `environment`, and the keys it is asked for. */
export function recording(environment: Environment): { environment: Environment; asked: Set<string> } {
  const asked = new Set<string>();
  const proxy = new Proxy(environment, {
    get(target, key) {
      if (typeof key === 'string') asked.add(key);
      return Reflect.get(target, key) as unknown;
    },
  });
  return { environment: proxy, asked };
}
