/** What a stream of pkt-lines turns into. Payloads arrive in pieces; `onFlush` and its like mark the special lines. */
export interface PacketHandler {
  /** @param first whether a new line begins here; @param last whether it is complete with this piece */
  onPayload(piece: Buffer, first: boolean, last: boolean): void;
  onSpecial(kind: 'flush' | 'delimiter' | 'response-end'): void;
}

/**
 * Takes pkt-lines apart (gitprotocol-common(5)) as chunks arrive, copying nothing. Written for the bench alone, so that
 * what checks a server doesn't share a parser with it.
 */
export class PacketStream {
  readonly #handler: PacketHandler;
  #header = '';
  #missing = 0;
  #first = false;

  constructor(handler: PacketHandler) {
    this.#handler = handler;
  }

  /** Throws Error for a malformed length. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#missing === 0) {
        const taken = Math.min(4 - this.#header.length, chunk.length - at);
        this.#header += chunk.toString('latin1', at, at + taken);
        at += taken;
        if (this.#header.length === 4) this.#beginLine();
        continue;
      }
      const piece = chunk.subarray(at, at + this.#missing);
      at += piece.length;
      this.#missing -= piece.length;
      const first = this.#first;
      this.#first = false;
      this.#handler.onPayload(piece, first, this.#missing === 0);
    }
  }

  /** Throws Error when the stream stopped inside a line. */
  end(): void {
    if (this.#missing > 0 || this.#header !== '') throw new Error('the response ends inside a pkt-line');
  }

  #beginLine(): void {
    const header = this.#header;
    this.#header = '';
    if (!/^[0-9a-f]{4}$/i.test(header)) throw new Error(`not a pkt-line: ${JSON.stringify(header)}`);
    const length = Number.parseInt(header, 16);
    if (length === 0) this.#handler.onSpecial('flush');
    else if (length === 1) this.#handler.onSpecial('delimiter');
    else if (length === 2) this.#handler.onSpecial('response-end');
    else if (length === 3) throw new Error('a pkt-line of length 3');
    else if (length === 4) this.#handler.onPayload(Buffer.alloc(0), true, true);
    else {
      this.#missing = length - 4;
      this.#first = true;
    }
  }
}

/** One pkt-line holding `text`. */
export function packet(text: string): string {
  return (Buffer.byteLength(text) + 4).toString(16).padStart(4, '0') + text;
}

/** All lines of a response that is at hand, a special line as `null`. Throws Error when it is malformed. */
export function packets(response: Buffer): (Buffer | null)[] {
  const lines: (Buffer | null)[] = [];
  let pieces: Buffer[] = [];
  const stream = new PacketStream({
    onPayload(piece, first, last) {
      if (first) pieces = [];
      pieces.push(piece);
      if (last) lines.push(Buffer.concat(pieces));
    },
    onSpecial() {
      lines.push(null);
    },
  });
  stream.push(response);
  stream.end();
  return lines;
}
