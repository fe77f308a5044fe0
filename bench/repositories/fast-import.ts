/** A `data` command of git-fast-import(1). */
export function data(content: string | Buffer): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n')]);
}

/** The head of a `commit` command; file changes follow. `seconds` since 1970, UTC. */
export function commit(options: {
  ref: string;
  mark: number;
  seconds: number;
  message: string;
  from?: number | undefined;
  merge?: number | undefined;
  author?: string;
}): Buffer {
  const author = `${options.author ?? 'Bench'} <bench@example.org> ${options.seconds} +0000\n`;
  const parents = [
    options.from === undefined ? '' : `from :${options.from}\n`,
    options.merge === undefined ? '' : `merge :${options.merge}\n`,
  ].join('');
  return Buffer.concat([
    Buffer.from(`commit ${options.ref}\nmark :${options.mark}\nauthor ${author}committer ${author}`),
    data(options.message),
    Buffer.from(parents),
  ]);
}

/** A file's new content within a `commit`. */
export function modify(path: string, content: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`M 100644 inline ${path}\n`), data(content)]);
}

/** What `--export-marks` wrote: object ids by mark. */
export function parseMarks(text: string): Map<number, string> {
  return new Map(text.trim().split('\n').map((line) => {
    const [mark = '', oid = ''] = line.split(' ');
    return [Number(mark.slice(1)), oid];
  }));
}
