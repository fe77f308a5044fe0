import { Worker } from 'node:worker_threads';
import type { Settings } from './seeds.ts';
import type { Violation } from './simulation.ts';
import type { Chunk, ChunkDone } from './worker.ts';

/** Runs handed to a thread at a time: some tenths of a second. */
const CHUNK = 100;

export interface Campaign {
  from: number;
  runs: number;
  workers: number;
  settings: Settings;
  control?: string;
  /** Goes on after a failure. */
  keepGoing?: boolean;
  progress?: (runs: number, failures: number) => void;
}

export interface CampaignResult {
  runs: number;
  events: number;
  acknowledged: number;
  failures: { seed: number; violation: Violation }[];
}

/** Many runs, spread over threads, one seed after another. Stops at the first failure unless told to go on. */
export async function runCampaign(campaign: Campaign): Promise<CampaignResult> {
  const total: CampaignResult = { runs: 0, events: 0, acknowledged: 0, failures: [] };
  const end = campaign.from + campaign.runs;
  const pending: Chunk[] = [];
  let next = campaign.from;
  const take = (): Chunk | undefined => {
    if (total.failures.length > 0 && campaign.keepGoing !== true) return undefined;
    const left = pending.pop();
    if (left !== undefined || next >= end) return left;
    const chunk = { from: next, count: Math.min(CHUNK, end - next), settings: campaign.settings, control: campaign.control };
    next += chunk.count;
    return chunk;
  };
  await Promise.all(Array.from({ length: campaign.workers }, async () => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: 64 } });
    try {
      for (let chunk = take(); chunk !== undefined; chunk = take()) {
        const done = await ask(worker, chunk);
        total.runs += done.runs;
        total.events += done.events;
        total.acknowledged += done.acknowledged;
        total.failures.push(...done.failures);
        if (done.runs < chunk.count) pending.push({ ...chunk, from: chunk.from + done.runs, count: chunk.count - done.runs });
        campaign.progress?.(total.runs, total.failures.length);
      }
    } finally {
      await worker.terminate();
    }
  }));
  total.failures.sort((a, b) => a.seed - b.seed);
  return total;
}

function ask(worker: Worker, chunk: Chunk): Promise<ChunkDone> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      worker.off('message', message);
      worker.off('error', failure);
      end();
    };
    const message = (done: ChunkDone) => settle(() => resolve(done));
    const failure = (error: unknown) => settle(() => reject(error as Error));
    worker.on('message', message);
    worker.on('error', failure);
    worker.postMessage(chunk);
  });
}
