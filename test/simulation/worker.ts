import { parentPort } from 'node:worker_threads';
import { CONTROLS } from './controls.ts';
import { optionsOf, type Settings } from './seeds.ts';
import { Simulation, type Violation } from './simulation.ts';

/** A part of the work: so many seeds from one on. */
export interface Chunk {
  from: number;
  count: number;
  settings: Settings;
  /** The name of the guard that is taken away. */
  control?: string;
}

export interface ChunkDone {
  runs: number;
  events: number;
  acknowledged: number;
  failures: { seed: number; violation: Violation }[];
}

parentPort!.on('message', (chunk: Chunk) => { void run(chunk).then((done) => parentPort!.postMessage(done)); });

/** Ends with the first failure: where it stopped is known by the number of runs. */
async function run({ from, count, settings, control }: Chunk): Promise<ChunkDone> {
  const guards = CONTROLS.find(({ name }) => name === control)?.guards;
  const done: ChunkDone = { runs: 0, events: 0, acknowledged: 0, failures: [] };
  for (let seed = from; seed < from + count; seed++) {
    const result = await new Simulation({ seed, options: optionsOf(seed, settings), guards }).run();
    done.runs++;
    done.events += result.events;
    done.acknowledged += result.pushes.acknowledged;
    if (result.violation !== undefined) {
      done.failures.push({ seed, violation: result.violation });
      break;
    }
  }
  return done;
}
