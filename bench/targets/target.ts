/** A running git server that a measure pushes to and clones from. */
export interface Target {
  name: string;
  /** What a reader must know to judge its figures: versions, durability, anything that isn't the default. */
  settings: string;
  /** Makes an empty repository. @returns its git URL. Throws Error when the server refuses. */
  createRepository(name: string): Promise<string>;
  /** The long-lived processes; whatever they start is found below them. */
  processIds(): number[];
  /** Ends every process. What is on disk goes with the bench's scratch directory. */
  stop(): Promise<void>;
}
