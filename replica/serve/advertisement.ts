import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { isHiddenRef } from '@trivet/proto/ref-name.ts';
import { zeroOid, type Oid } from '@trivet/proto/object-format.ts';
import { AGENT } from './agent.ts';
import { protocolVersion } from './protocol-version.ts';
import type { Served } from './served.ts';
import { uploadPackCapabilities } from './upload-pack-capabilities.ts';

const RECEIVE_PACK_CAPABILITIES = [
  'report-status', 'report-status-v2', 'delete-refs', 'side-band-64k', 'quiet', 'atomic', 'ofs-delta', 'push-options',
];

/**
 * The body of `GET info/refs?service=git-receive-pack`, by gitprotocol-http(5) and gitprotocol-pack(5): every ref that
 * isn't hidden, without HEAD and without peeled tags, as git's own receive-pack does it.
 */
export async function advertiseReceivePack(served: Served): Promise<Buffer> {
  const capabilities = [
    ...RECEIVE_PACK_CAPABILITIES, `object-format=${served.objectFormat}`, `agent=${AGENT}`,
  ].join(' ');
  const refs = visibleRefs(served);
  const lines = refs.length > 0 ? refs : [[ 'capabilities^{}', zeroOid(served.objectFormat)] as const];
  return Buffer.concat([
    encodePacket('# service=git-receive-pack\n'), FLUSH, ...refLines(lines, capabilities), FLUSH,
  ]);
}

/**
 * The body of `GET info/refs?service=git-upload-pack`, from memory, with the capabilities of the installed git.
 * @param gitProtocol the `Git-Protocol` header
 * @throws TrivetError `git_failed` when git can't be asked for its capabilities
 */
export async function advertiseUploadPack(served: Served, gitProtocol: string | undefined): Promise<Buffer> {
  const version = protocolVersion(gitProtocol);
  // Taken from the view before the first await: the view may move to the next generation meanwhile.
  const { head } = served.refs;
  const headOid = served.refs.get(head);
  const visible = visibleRefs(served);
  const git = await uploadPackCapabilities(served.objectFormat);
  if (version === 2) return git.v2;
  const preamble = [encodePacket('# service=git-upload-pack\n'), FLUSH];
  if (version === 1) preamble.push(encodePacket('version 1\n'));
  if (visible.length === 0) return Buffer.concat([...preamble, git.empty]);
  const refs = headOid === undefined ? visible : [['HEAD', headOid] as const, ...visible];
  const peeled = await served.peel(refs.map(([, oid]) => oid));
  const lines = refs.flatMap(([name, oid], i) => {
    const target = peeled[i];
    return target === undefined ? [[name, oid] as const] : [[name, oid] as const, [`${name}^{}`, target] as const];
  });
  const capabilities = git.capabilities(headOid === undefined ? undefined : head);
  return Buffer.concat([...preamble, ...refLines(lines, capabilities), FLUSH]);
}

function visibleRefs(served: Served): (readonly [name: string, oid: Oid])[] {
  return [...served.refs.entries()].filter(([name]) => !isHiddenRef(name));
}

/** The lines of an advertisement; the capabilities stand behind a NUL in the first. */
function refLines(refs: readonly (readonly [name: string, oid: Oid])[], capabilities: string): Buffer[] {
  return refs.map(([name, oid], i) => encodePacket(`${oid} ${name}${i === 0 ? `\0${capabilities}` : ''}\n`));
}
