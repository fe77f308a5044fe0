const SURROGATE = /[\ud800-\udfff]/;

/**
 * Sorts ref names in place by their bytes, which is the order git wants in packed-refs and gives to clients.
 * JavaScript compares UTF-16 units, which is the same order unless a name goes beyond the basic plane.
 */
export function sortRefNames(names: string[]): string[] {
  if (!names.some((name) => SURROGATE.test(name))) return names.sort();
  const bytes = new Map(names.map((name) => [name, Buffer.from(name)]));
  return names.sort((a, b) => Buffer.compare(bytes.get(a)!, bytes.get(b)!));
}

/** Every directory above a ref, the nearest last: `refs`, `refs/heads` for `refs/heads/main`. */
export function directoriesAbove(name: string): string[] {
  const directories: string[] = [];
  for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
    directories.push(name.slice(0, slash));
  }
  return directories;
}
