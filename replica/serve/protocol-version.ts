/** The wire protocols of gitprotocol-v2(5) and gitprotocol-pack(5). */
export type ProtocolVersion = 0 | 1 | 2;

/**
 * The version a client asks for, read as git reads GIT_PROTOCOL: fields separated by colons, of which the highest
 * known `version=` wins; what is not understood is passed over.
 * @param gitProtocol the `Git-Protocol` header
 */
export function protocolVersion(gitProtocol: string | undefined): ProtocolVersion {
  const fields = new Set((gitProtocol ?? '').split(':'));
  if (fields.has('version=2')) return 2;
  return fields.has('version=1') ? 1 : 0;
}
