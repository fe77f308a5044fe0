import { TrivetError } from '@trivet/proto/errors.ts';
import type {
  AbortRequest, NodeStatus, PrepareAnswer, PrepareRequest, RefsSnapshot, RepairAnswer, RepairRequest, ReplicaPosition, VerifyAnswer, VoteAnswer,
  VoteHeader, CommitRequest } from '@trivet/proto/messages.ts';
import type { NodeClient } from '../../../controller/nodes/node-client.ts';
import type { Simulation } from '../simulation.ts';
import type { SimProcess } from './process.ts';
import type { NodeLife, SimNode } from './sim-node.ts';

/** The frames of one vote are equal for all nodes, and parsed once. */
const frames = new WeakMap<Buffer, { header: VoteHeader; pack: Buffer | undefined }>();

/** What a controller asks of a node, over the simulated network. Has the methods of `NodeClient`. */
export class SimNodeClient {
  readonly node: string;
  readonly url: string;
  readonly #simulation: Simulation;
  readonly #target: SimNode;
  readonly #from: SimProcess;

  constructor(simulation: Simulation, target: SimNode, from: SimProcess) {
    this.node = target.name;
    this.url = target.name;
    this.#simulation = simulation;
    this.#target = target;
    this.#from = from;
  }

  asNodeClient(): NodeClient {
    return this as unknown as NodeClient;
  }

  vote(repository: string, body: Buffer, deadlineMs: number, signal: AbortSignal): Promise<VoteAnswer> {
    const { header, pack } = readFrame(body);
    return this.#call('a vote', deadlineMs, (life, caller) => life.vote(repository, header, pack, caller), signal);
  }

  prepare(repository: string, message: PrepareRequest, deadlineMs: number): Promise<PrepareAnswer> {
    return this.#call('a prepare', deadlineMs, (life) => life.prepare(repository, message));
  }

  commit(repository: string, message: CommitRequest, deadlineMs: number): Promise<ReplicaPosition> {
    return this.#call('a commit', deadlineMs, (life) => life.commit(repository, message));
  }

  abort(repository: string, message: AbortRequest): Promise<void> {
    return this.#call('an abort', this.#simulation.options.askMs, (life) => life.abort(repository, message));
  }

  status(): Promise<NodeStatus> {
    return this.#call('a heartbeat', this.#simulation.options.heartbeatMs, async (life) => life.status());
  }

  repair(repository: string, message: RepairRequest, signal: AbortSignal): Promise<RepairAnswer> {
    return this.#call('a repair', this.#simulation.options.repairMs, (life) => life.repair(repository, message), signal);
  }

  async repairProgress(): Promise<never> {
    throw new TrivetError('not_found');
  }

  /** Nothing is set aside here. */
  async discardRepaired(): Promise<void> {}

  verify(repository: string, full: boolean, signal?: AbortSignal): Promise<VerifyAnswer> {
    return this.#call('a verification', this.#simulation.options.repairMs, (life) => life.verify(repository, full), signal);
  }

  /** A read of all refs; `refs` beside what `NodeRead` has. */
  async read(input: { path: string; generation: number; deadlineMs: number }) {
    const repository = input.path.split('/')[2]!;
    const refs = await this.#call('a read', input.deadlineMs, (life) => life.snapshot(repository, input.generation));
    return { status: 200, headers: {}, body: { once: () => {} }, refs };
  }

  #call<T>(what: string, deadlineMs: number, serve: (life: NodeLife, caller: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#simulation.network.call({
      from: this.#from, to: this.#target.name, what, server: () => this.#target.life, processOf: ({ process }) => process, serve, deadlineMs, signal,
    });
  }
}

/** What a read brings beside the fields of `NodeRead`. */
export interface SimRead {
  refs: RefsSnapshot;
}

function readFrame(body: Buffer): { header: VoteHeader; pack: Buffer | undefined } {
  let frame = frames.get(body);
  if (frame === undefined) {
    if (!Buffer.isBuffer(body)) throw new TrivetError('internal', { problem: 'packs here are small enough to be sent in one piece' });
    const length = body.readUInt32BE(0);
    const header = JSON.parse(body.toString('utf8', 4, 4 + length)) as VoteHeader;
    frame = { header, pack: header.pack ? body.subarray(4 + length) : undefined };
    frames.set(body, frame);
  }
  return frame;
}
