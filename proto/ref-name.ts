/** Refs below this prefix belong to Trivet: never advertised, never writable by a push. */
export const HIDDEN_REF_PREFIX = 'refs/trivet/';

/** git itself stores a ref as a file, so a component longer than the file system's 255 bytes (with `.lock`) can't exist. */
const MAX_COMPONENT_BYTES = 250;
/** So short that every node can store it, however deep its directory lies: paths end at 4,096 bytes. */
const MAX_NAME_BYTES = 1024;

/**
 * Whether git would accept `name` as the full name of a ref, by the rules of git-check-ref-format(1),
 * plus the two of git-receive-pack: it starts with `refs/`, and has a component after that.
 */
export function isRefName(name: string): boolean {
  if (!name.startsWith('refs/') || Buffer.byteLength(name) > MAX_NAME_BYTES) return false;
  // Half a surrogate pair has no bytes of its own: on disk the ref would get another name.
  if (!name.isWellFormed()) return false;
  if (name.endsWith('/') || name.endsWith('.')) return false;
  if (name.includes('..') || name.includes('@{') || name.includes('//')) return false;
  if (/[\x00-\x20\x7f~^:?*[\\]/.test(name)) return false;
  const components = name.split('/');
  return components.length >= 2 && components.every(isComponent);
}

/** Whether a ref is Trivet's own and so invisible to clients. */
export function isHiddenRef(name: string): boolean {
  return name.startsWith(HIDDEN_REF_PREFIX);
}

/** Whether a ref is a branch, which git allows to point at commit objects only. */
export function isBranch(name: string): boolean {
  return name.startsWith('refs/heads/');
}

function isComponent(component: string): boolean {
  return component.length > 0
    && !component.startsWith('.')
    && !component.endsWith('.lock')
    && Buffer.byteLength(component) <= MAX_COMPONENT_BYTES;
}
