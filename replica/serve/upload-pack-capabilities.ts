import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { runGit } from '../git/process.ts';
import { AGENT } from './agent.ts';
import { createBareRepository } from './repository-config.ts';
import { requestPackets } from './request-packets.ts';

/** What the installed git's upload-pack announces of itself with our configuration. */
export interface UploadPackCapabilities {
  /** The whole v2 capability advertisement. */
  v2: Buffer;
  /** The whole v0 advertisement of a repository without refs; newer git puts its capabilities there too. */
  empty: Buffer;
  /** The v0 capabilities, with `symref` where HEAD's target belongs. */
  capabilities(symref: string | undefined): string;
}

const learned = new Map<ObjectFormat, Promise<UploadPackCapabilities>>();

/**
 * Asks git itself, once for each object format in this process, so that nothing is promised that git can't do.
 * @throws TrivetError `git_failed`; the next call asks again
 */
export function uploadPackCapabilities(objectFormat: ObjectFormat): Promise<UploadPackCapabilities> {
  const known = learned.get(objectFormat);
  if (known !== undefined) return known;
  const asked = learn(objectFormat);
  learned.set(objectFormat, asked);
  asked.catch(() => learned.delete(objectFormat));
  return asked;
}

async function learn(objectFormat: ObjectFormat): Promise<UploadPackCapabilities> {
  const directory = await mkdtemp(join(tmpdir(), 'trivet-capabilities-'));
  try {
    const gitDir = join(directory, 'example.git');
    await createBareRepository(gitDir, objectFormat, 'refs/heads/example');
    const [v2, empty] = await Promise.all([advertise(gitDir, 'version=2'), advertise(gitDir, 'version=0')]);
    await writeExampleRef(gitDir, objectFormat);
    const example = await advertise(gitDir, 'version=0');
    return { v2, empty, capabilities: capabilitiesOf(example) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function advertise(gitDir: string, version: string): Promise<Buffer> {
  const env = { GIT_PROTOCOL: version, GIT_USER_AGENT: AGENT };
  return runGit(['upload-pack', '--http-backend-info-refs', '.'], { gitDir, env });
}

/** The capabilities stand behind a NUL in the first line, HEAD's target among them. */
function capabilitiesOf(advertisement: Buffer): (symref: string | undefined) => string {
  const first = requestPackets(advertisement)[0];
  const match = /\0(.*) symref=HEAD:refs\/heads\/example(.*)\n$/s.exec(first instanceof Buffer ? first.toString() : '');
  if (match === null) throw new TrivetError('git_failed', { advertisement: advertisement.toString('latin1') });
  const [, before, after] = match;
  return (symref) => `${before}${symref === undefined ? '' : ` symref=HEAD:${symref}`}${after}`;
}

/** Git leaves out refs whose object it doesn't have, so the example needs one: an empty blob is the simplest. */
async function writeExampleRef(gitDir: string, objectFormat: ObjectFormat): Promise<void> {
  const object = Buffer.from('blob 0\0');
  const oid = createHash(objectFormat).update(object).digest('hex');
  await mkdir(join(gitDir, 'objects', oid.slice(0, 2)));
  await writeFile(join(gitDir, 'objects', oid.slice(0, 2), oid.slice(2)), deflateSync(object));
  await writeFile(join(gitDir, 'refs/heads/example'), `${oid}\n`);
}
