/** The two hash functions a git repository can be built on. The name is git's own (`git init --object-format`). */
export type ObjectFormat = 'sha1' | 'sha256';

/** An object id in lower-case hexadecimal: 40 digits for sha1, 64 for sha256. */
export type Oid = string;

export const OBJECT_FORMATS: readonly ObjectFormat[] = ['sha1', 'sha256'];

/** Digits of an object id in hexadecimal. */
export function oidLength(format: ObjectFormat): number {
  return format === 'sha1' ? 40 : 64;
}

/** The id that stands for "no object": the old value of a created ref, the new value of a deleted one. */
export function zeroOid(format: ObjectFormat): Oid {
  return '0'.repeat(oidLength(format));
}

/** True for `0…0` of either length. */
export function isZeroOid(oid: Oid): boolean {
  return /^0+$/.test(oid);
}

/** True when `text` is a well-formed, lower-case object id of this format. */
export function isOid(text: string, format: ObjectFormat): boolean {
  return text.length === oidLength(format) && /^[0-9a-f]+$/.test(text);
}
