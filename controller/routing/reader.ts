import { cpus } from 'node:os';
import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { NodeState, Route } from '../store/rows.ts';
import { freeShare } from '../nodes/free-share.ts';
import type { NodeRead } from '../nodes/node-client.ts';
import type { KnownNode, NodeRegistry } from '../nodes/node-registry.ts';
import type { Silences } from '../nodes/silence.ts';
import { rank, type Candidate, type Reason } from './choose.ts';

export interface ReadRequest {
  route: Route;
  /** Below `/repositories/<id>`, with its query. */
  path: string;
  gitProtocol: string | undefined;
  body?: Buffer;
  type?: string;
  requestId: string;
  signal: AbortSignal;
}

/** One function for the metric and the log of every replica that is asked. */
export interface ReadEvents {
  asked(node: string, reason: Reason, outcome: 'ok' | 'failed', code: string | undefined, requestId: string): void;
}

const CORES = cpus().length;
/**
 * What was measured longer ago says nothing of a node any more. Only reads measure, so a node that was slow or failed once
 * would never be read from again while another is left: it is taken for as good as the best, and the next read measures it.
 */
const FORGET_AFTER_MS = 10_000;

/**
 * Answers a read from a replica that holds at least the generation SQL names, the healthiest first. Until a node has
 * begun to answer, another one can be asked without the client noticing, which happens when it fails, takes too long, or
 * is silent while others are not; after that a failure breaks the connection.
 */
export class Reader {
  readonly #nodes: NodeRegistry;
  readonly #silence: Silences;
  readonly #events: ReadEvents;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  #turn = 0;

  constructor(nodes: NodeRegistry, silence: Silences, events: ReadEvents, clock: Clock, deadlineMs: number) {
    this.#nodes = nodes;
    this.#silence = silence;
    this.#events = events;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
  }

  /**
   * @returns the answer of the first replica that could give one; its body is still to be read
   * @throws TrivetError no_current_replica, naming what was tried; the node's own refusal where no other could do better
   */
  async read(request: ReadRequest): Promise<NodeRead> {
    const { repository } = request.route;
    const candidates = this.#candidates(request.route);
    const turn = this.#turn++;
    const ranked = candidates.heard.filter((group) => group.length > 0).map((group) => {
      for (const node of group) this.#forgetOld(node);
      return rank(group.map((node) => describe(node, repository.id)), turn);
    });
    const reason = ranked[0]?.reason ?? 'only_current';
    const order = [...ranked.flatMap((group) => group.order), ...candidates.silent.map((node) => node.id)];
    const tried: Record<string, string> = {};
    for (const [i, id] of order.entries()) {
      const node = this.#nodes.get(id)!;
      const why: Reason = i === 0 ? reason : 'failover';
      const startedAt = this.#clock.elapsed();
      const attempt = new AbortController();
      // Only where somebody is left who isn't silent.
      const others = order.slice(i + 1).some((other) => !this.#silence.has(other));
      const endLate = others ? this.#silence.late(() => [id], () => attempt.abort(new TrivetError('phase_timeout', { node: id }))) : () => {};
      node.inFlight += 1;
      try {
        const answer = await node.client.read({
          path: `/repositories/${repository.id}${request.path}`,
          generation: repository.generation,
          gitProtocol: request.gitProtocol,
          body: request.body,
          type: request.type,
          requestId: request.requestId,
          deadlineMs: this.#deadlineMs,
          signal: AbortSignal.any([request.signal, attempt.signal]),
        });
        endLate();
        node.measuredAt = this.#clock.elapsed();
        this.#nodes.succeeded(node, node.measuredAt - startedAt);
        this.#events.asked(id, why, 'ok', undefined, request.requestId);
        answer.body.once('close', () => { node.inFlight -= 1; });
        return answer;
      } catch (error) {
        endLate();
        node.inFlight -= 1;
        node.measuredAt = this.#clock.elapsed();
        request.signal.throwIfAborted();
        const fault = asTrivetError(error);
        this.#events.asked(id, why, 'failed', fault.code, request.requestId);
        // The client's own mistake would be the same everywhere.
        if (fault.status >= 400 && fault.status < 500 && !fault.retry && fault.code !== 'replica_missing') throw fault;
        const late = fault.code === 'phase_timeout' && !attempt.signal.aborted;
        if (fault.code === 'node_unreachable' || fault.code === 'shutting_down' || late) this.#nodes.suspect(id, fault.code);
        else if (fault.status >= 500) this.#nodes.failed(node);
        tried[id] = fault.code;
      }
    }
    throw new TrivetError('no_current_replica', { repository: repository.name, tried, replicas: states(request.route) });
  }

  #forgetOld(node: KnownNode): void {
    if (this.#clock.elapsed() - (node.measuredAt ?? -Infinity) > FORGET_AFTER_MS) this.#nodes.forget(node);
  }

  /**
   * Groups, each asked only when those before have failed: a draining node has its replicas copied, from a quiesced one an
   * operator wants nothing to be read, and silent ones are the last resort.
   */
  #candidates(route: Route): { heard: KnownNode[][]; silent: KnownNode[] } {
    const usable = route.replicas.filter((replica) => replica.state === 'current').flatMap((replica) => {
      const node = this.#nodes.usable(replica.node);
      return node === undefined ? [] : [{ node, wish: replica.nodeState }];
    });
    const isSilent = ({ node }: { node: KnownNode }) => this.#silence.has(node.id);
    const heard = usable.filter((each) => !isSilent(each));
    const of = (suits: (wish: NodeState) => boolean) => heard.filter(({ wish }) => suits(wish)).map(({ node }) => node);
    return {
      heard: [of((wish) => wish !== 'draining' && wish !== 'quiesced'), of((wish) => wish === 'draining'), of((wish) => wish === 'quiesced')],
      silent: usable.filter(isSilent).map(({ node }) => node),
    };
  }
}

function describe(node: KnownNode, repository: string): Candidate {
  const { status } = node;
  return {
    node: node.id,
    latencyMs: node.latencyMs,
    inFlight: node.inFlight,
    errorRate: node.errorRate,
    load: (status?.loadAverage ?? 0) / CORES,
    diskFree: status === undefined ? 1 : freeShare(status),
    maintained: status?.maintaining?.includes(repository) ?? false,
  };
}

function states(route: Route): Record<string, string> {
  return Object.fromEntries(route.replicas.map((replica) => [replica.node, replica.state]));
}
