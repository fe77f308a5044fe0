import { Unclear } from './unclear.ts';

/** git itself refuses a shorter one. */
const MIN_DELTA_BYTES = 4;
const MAX_SIZE_BYTES = 5;
const MAX_INSERT_BYTES = 127;
const COPY_OF_SIZE_ZERO_BYTES = 0x10000;

/** The sizes in bytes that a delta declares, and where its instructions begin. Throws Unclear. */
export function readDeltaHeader(delta: Buffer): { baseBytes: number; resultBytes: number; instructionsAt: number } {
  if (delta.length < MIN_DELTA_BYTES) throw new Unclear('delta too short');
  const base = readSize(delta, 0);
  const result = readSize(delta, base.next);
  return { baseBytes: base.value, resultBytes: result.value, instructionsAt: result.next };
}

/**
 * Builds an object from its base, by gitformat-pack(5), "Deltified representation".
 * @throws Unclear for instructions that do anything else than fill exactly the declared size from within the base
 */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const { baseBytes, resultBytes, instructionsAt } = readDeltaHeader(delta);
  if (baseBytes !== base.length) throw new Unclear('delta is for a base of another size');
  const result = Buffer.allocUnsafe(resultBytes);
  let at = instructionsAt;
  let filled = 0;
  while (at < delta.length) {
    const op = delta[at++]!;
    if (op & 0x80) {
      let offset = 0;
      let size = 0;
      for (let i = 0; i < 4; i++) if (op & (1 << i)) offset += byteAt(delta, at++) * 2 ** (8 * i);
      for (let i = 0; i < 3; i++) if (op & (0x10 << i)) size += byteAt(delta, at++) * 2 ** (8 * i);
      if (size === 0) size = COPY_OF_SIZE_ZERO_BYTES;
      if (offset + size > base.length || filled + size > resultBytes) throw new Unclear('delta copies out of range');
      base.copy(result, filled, offset, offset + size);
      filled += size;
    } else {
      if (op === 0 || op > MAX_INSERT_BYTES) throw new Unclear('reserved delta instruction');
      if (at + op > delta.length || filled + op > resultBytes) throw new Unclear('delta inserts out of range');
      delta.copy(result, filled, at, at + op);
      at += op;
      filled += op;
    }
  }
  if (filled !== resultBytes) throw new Unclear('delta gives another size than it says');
  return result;
}

function readSize(delta: Buffer, start: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < MAX_SIZE_BYTES; i++) {
    const byte = byteAt(delta, start + i);
    value += (byte & 0x7f) * 128 ** i;
    if ((byte & 0x80) === 0) return { value, next: start + i + 1 };
  }
  throw new Unclear('size in a delta too long');
}

function byteAt(delta: Buffer, at: number): number {
  const byte = delta[at];
  if (byte === undefined) throw new Unclear('delta ends within an instruction');
  return byte;
}
