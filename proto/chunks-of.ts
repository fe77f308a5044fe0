import type { Readable } from 'node:stream';

/**
 * The chunks of a stream as they came. A stream's own iterator glues together whatever is buffered, which for a large
 * push means copying it once more and collecting the garbage of it; this one doesn't.
 *
 * Holds at most one chunk; the stream is paused meanwhile. Giving up half-way leaves the stream paused, and alive.
 * @throws what the stream reports, and an Error when it closes before its end
 */
export async function* chunksOf(stream: Readable): AsyncGenerator<Buffer> {
  let chunk: Buffer | undefined;
  let ended = stream.readableEnded;
  let failure: { error: unknown } | undefined;
  let wake = () => {};
  const onData = (data: Buffer) => { chunk = data; stream.pause(); wake(); };
  const onEnd = () => { ended = true; wake(); };
  const onError = (error: unknown) => { failure ??= { error }; wake(); };
  const onClose = () => { if (!ended) onError(new Error('the stream closed before its end')); };
  if (stream.destroyed && !ended) onError(stream.errored ?? new Error('the stream closed before its end'));
  stream.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  try {
    for (;;) {
      while (chunk === undefined && !ended && failure === undefined) {
        const woken = new Promise<void>((resolve) => { wake = resolve; });
        stream.resume();
        await woken;
      }
      if (chunk !== undefined) {
        const next = chunk;
        chunk = undefined;
        yield next;
      } else if (failure !== undefined) {
        throw failure.error;
      } else {
        return;
      }
    }
  } finally {
    stream.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
    stream.pause();
  }
}
