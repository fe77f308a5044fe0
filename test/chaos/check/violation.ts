/** Something that must never be, and where in the history to look for how it came. */
export interface Violation {
  /** Which promise is broken, in a few words. */
  promise: string;
  text: string;
  repository?: string;
  ref?: string;
  /** The moments it concerns, in milliseconds since the run began. */
  begin?: number;
  end?: number;
}
