import { spawn } from 'node:child_process';
import { request, type ClientRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import type { Cluster, WorkTree } from '../cluster.ts';

export interface RawAnswer { status: number; text: string }

/** A push byte by byte, by a client that may stop, leave, or never send what it announced. */
export class RawPush {
  /** The server's answer; rejected when the connection breaks before it is whole. */
  readonly answer: Promise<RawAnswer>;
  readonly #request: ClientRequest;

  /** @param length announced as Content-Length; without it the body is chunked */
  constructor(cluster: Cluster, repository: string, length?: number) {
    const headers: Record<string, string> = { 'content-type': 'application/x-git-receive-pack-request' };
    if (length !== undefined) headers['content-length'] = String(length);
    this.#request = request(`${cluster.gitUrl(repository)}/git-receive-pack`, { method: 'POST', headers, agent: false });
    this.answer = new Promise((resolve, reject) => {
      this.#request.on('error', reject);
      this.#request.on('response', (response) => {
        buffer(response).then((bytes) => resolve({ status: response.statusCode!, text: bytes.toString('latin1') }), reject);
      });
    });
    // Whoever destroys the connection doesn't ask for the answer.
    this.answer.catch(() => {});
  }

  async send(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve) => { this.#request.write(bytes, () => resolve()); });
  }

  end(): void {
    this.#request.end();
  }

  /** Leaves without a word. */
  leave(): void {
    this.#request.destroy();
  }
}

/** The commands of a push that moves one ref. */
export function commandBytes(ref: string, before: string, after: string): Buffer {
  return Buffer.concat([encodePacket(`${before} ${after} ${ref}\0report-status side-band-64k agent=test`), FLUSH]);
}

/** The pack that brings `tip` to somebody who has `base`. */
export async function packOf(work: WorkTree, tip: string, base?: string): Promise<Buffer> {
  const git = spawn('git', ['pack-objects', '--revs', '--stdout', '-q'], { cwd: work.path, stdio: ['pipe', 'pipe', 'ignore'] });
  git.stdin.end(base === undefined ? `${tip}\n` : `${tip}\n^${base}\n`);
  return buffer(git.stdout);
}
