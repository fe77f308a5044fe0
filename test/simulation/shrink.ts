import { Simulation, type RunInput, type RunResult, type Violation } from './simulation.ts';

/** Runs that shrinking may take. */
const MAX_RUNS = 2_000;

export interface Shrunk {
  /** The faults and operations that are left, without one of which nothing was found any more. */
  only: string[];
  violation: Violation;
  runs: number;
}

/**
 * Takes faults and operations away as long as the same checker still finds something: halves first, then single ones
 * (delta debugging). Whatever is taken away moves nothing else: see Faults.
 */
export async function shrink(input: RunInput, failed: RunResult): Promise<Shrunk> {
  let only = [...new Set(failed.struck)];
  let violation = failed.violation!;
  let runs = 0;
  const stillFails = async (names: readonly string[]): Promise<boolean> => {
    runs++;
    const result = await new Simulation({ ...input, only: new Set(names) }).run();
    if (result.violation?.checker !== violation.checker) return false;
    // What didn't come about isn't needed either.
    const struck = new Set(result.struck);
    only = names.filter((name) => struck.has(name));
    violation = result.violation;
    return true;
  };
  if (!await stillFails(only)) return { only, violation, runs };
  for (let size = Math.ceil(only.length / 2); size >= 1 && runs < MAX_RUNS;) {
    let removed = false;
    for (let at = 0; at < only.length && runs < MAX_RUNS;) {
      if (await stillFails([...only.slice(0, at), ...only.slice(at + size)])) removed = true;
      else at += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (!removed) break;
  }
  return { only, violation, runs };
}
