import { TrivetError } from './errors.ts';
import type { ByteReader } from './byte-reader.ts';
import { encodePacket, encodeSideBand, FLUSH, readPacket, BAND_DATA } from './pkt-line.ts';
import { isOid, isZeroOid, type ObjectFormat } from './object-format.ts';
import type { Command, Verdict } from './vote.ts';

/** What a client sends ahead of the pack: gitprotocol-pack(5), "Reference Update Request". */
export interface PushHead {
  commands: Command[];
  capabilities: ReadonlySet<string>;
  /** Commits whose parents the client doesn't have, when it pushes from a shallow clone. */
  shallow: string[];
  pushOptions: string[];
}

export interface PushLimits {
  maxCommands: number;
  /** Bytes of all push options together, each with the four of its pkt-line. */
  maxPushOptionBytes: number;
}

const SHALLOW_LIMIT = 100_000;
/** What a vote can carry; no file system holds a longer one. */
const MAX_REF_LENGTH = 4_000;

/**
 * Reads commands, shallow lines and push options, and leaves `reader` at the first byte of the pack.
 * A body that is one flush packet is git's probe for authentication: no commands.
 * @throws TrivetError bad_pkt_line, body_truncated, bad_command, duplicate_ref, too_many_commands, object_format_mismatch
 */
export async function readPushHead(reader: ByteReader, format: ObjectFormat, limits: PushLimits): Promise<PushHead> {
  const commands: Command[] = [];
  const shallow: string[] = [];
  const seen = new Set<string>();
  let capabilities: ReadonlySet<string> | undefined;
  for (;;) {
    const packet = await readPacket(reader);
    if (packet.type === 'flush') break;
    if (packet.type !== 'data') throw new TrivetError('bad_command', { problem: 'only a flush packet ends the commands' });
    const line = decode(packet.payload);
    if (line.startsWith('shallow ')) {
      shallow.push(parseShallow(line, format));
      if (shallow.length > SHALLOW_LIMIT) throw new TrivetError('too_many_commands', { limit: SHALLOW_LIMIT });
      continue;
    }
    const nul = line.indexOf('\0');
    if (nul !== -1 && capabilities === undefined) capabilities = new Set(line.slice(nul + 1).trim().split(/\s+/));
    capabilities ??= new Set();
    checkObjectFormat(capabilities, format);
    const command = parseCommand(nul === -1 ? line : line.slice(0, nul), format);
    if (seen.has(command.ref)) throw new TrivetError('duplicate_ref', { ref: command.ref });
    seen.add(command.ref);
    commands.push(command);
    if (commands.length > limits.maxCommands) throw new TrivetError('too_many_commands', { limit: limits.maxCommands });
  }
  const pushOptions = capabilities?.has('push-options') ? await readPushOptions(reader, limits) : [];
  return { commands, capabilities: capabilities ?? new Set(), shallow, pushOptions };
}

/** Whether a client sends a pack after these commands: it doesn't when all are deletions. */
export function expectsPack(commands: readonly Command[]): boolean {
  return commands.some((command) => !isZeroOid(command.new));
}

/**
 * The answer to a push in the form the client asked for: report-status (v1 and v2 share the lines we need),
 * wrapped in side-band channel 1 when the client can. Empty when it wants no report.
 */
export function encodeReport(
  capabilities: ReadonlySet<string>, unpack: string, commands: readonly Command[], verdicts: readonly Verdict[],
): Buffer {
  if (!capabilities.has('report-status') && !capabilities.has('report-status-v2')) {
    return capabilities.has('side-band-64k') ? FLUSH : Buffer.alloc(0);
  }
  const lines = commands.map((command, i) => {
    const verdict = verdicts[i]!;
    return encodePacket(verdict === 'ok' ? `ok ${command.ref}\n` : `ng ${command.ref} ${verdict}\n`);
  });
  const report = Buffer.concat([encodePacket(`unpack ${unpack}\n`), ...lines, FLUSH]);
  return capabilities.has('side-band-64k') ? Buffer.concat([encodeSideBand(BAND_DATA, report), FLUSH]) : report;
}

async function readPushOptions(reader: ByteReader, limits: PushLimits): Promise<string[]> {
  const options: string[] = [];
  let bytes = 0;
  for (;;) {
    const packet = await readPacket(reader);
    if (packet.type === 'flush') return options;
    if (packet.type !== 'data') throw new TrivetError('bad_command', { problem: 'only a flush packet ends the push options' });
    // An empty option costs us memory too, so its line counts with its header.
    bytes += packet.payload.length + 4;
    if (bytes > limits.maxPushOptionBytes) throw new TrivetError('body_too_large', { what: 'push options', limit: limits.maxPushOptionBytes });
    options.push(decode(packet.payload));
  }
}

function decode(payload: Buffer): string {
  const end = payload.at(-1) === 0x0a ? payload.length - 1 : payload.length;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload.subarray(0, end));
  } catch {
    throw new TrivetError('bad_command', { problem: 'not UTF-8' });
  }
}

function parseShallow(line: string, format: ObjectFormat): string {
  const oid = line.slice('shallow '.length);
  if (!isOid(oid, format)) throw new TrivetError('bad_command', { problem: 'malformed shallow line' });
  return oid;
}

function parseCommand(line: string, format: ObjectFormat): Command {
  const [before, after, ...rest] = line.split(' ');
  const ref = rest.join(' ');
  if (before === undefined || after === undefined || ref === '' || !isOid(before, format) || !isOid(after, format)) {
    throw new TrivetError('bad_command', { problem: 'expected "<old id> <new id> <ref>"' });
  }
  if (ref.length > MAX_REF_LENGTH) throw new TrivetError('bad_command', { problem: 'the ref is too long', limit: MAX_REF_LENGTH });
  return { ref, old: before, new: after };
}

function checkObjectFormat(capabilities: ReadonlySet<string>, format: ObjectFormat): void {
  for (const capability of capabilities) {
    if (capability.startsWith('object-format=') && capability !== `object-format=${format}`) {
      throw new TrivetError('object_format_mismatch', { client: capability.slice('object-format='.length), repository: format });
    }
  }
}
