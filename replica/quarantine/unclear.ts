/**
 * Thrown by the in-process way when it can't vouch for a pack: whatever is wrong, unusual, too large or not understood.
 * It is never a verdict. The same bytes then go to git, and git decides; so nothing is accepted that git would reject,
 * and nothing is rejected that git would accept.
 */
export class Unclear extends Error {
  /**
   * Blobs that stand in a tree under a name whose content git checks. When they are the only thing that was unclear
   * and git accepts the pack, they need not be asked about again.
   */
  readonly unjudged: readonly NamedBlob[];

  constructor(what: string, unjudged: readonly NamedBlob[] = []) {
    super(what);
    this.name = 'Unclear';
    this.unjudged = unjudged;
  }
}

/** A blob and the file name under which a tree holds it. */
export interface NamedBlob {
  name: string;
  oid: string;
}
