import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Silences } from '../nodes/silence.ts';
import type { Decisions } from '../store/decisions.ts';
import type { Replicas } from '../store/replicas.ts';
import type { Repositories } from '../store/repositories.ts';
import type { BatchPorts } from './batch-run.ts';

/** Pauses before what could not be recorded is tried again; after them verification has to find it. */
const AGAIN_MS = [1_000, 5_000, 15_000, 60_000];

async function again(clock: Clock, action: () => Promise<void>): Promise<void> {
  for (const pauseMs of AGAIN_MS) {
    await clock.sleep(pauseMs);
    if (await action().then(() => true, () => false)) return;
  }
}

/** The real world of a batch: nodes over HTTP, decisions in SQL. */
export function makePorts(input: {
  repositories: Repositories; replicas: Replicas; decisions: Decisions; nodes: NodeRegistry;
  clock: Clock; silence: Silences; newId(): string; random(): number; coordinator: string; failpoint: Failpoint; onMark(): void;
}): BatchPorts {
  const { repositories, replicas, decisions, nodes, clock, silence, newId, failpoint } = input;

  const client = (id: string): NodeClient => {
    const node = nodes.get(id);
    if (node === undefined) throw new TrivetError('node_unreachable', { node: id });
    return node.client;
  };
  const watched = async <T>(node: string, call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      const { code } = asTrivetError(error);
      if (code === 'node_unreachable' || code === 'phase_timeout') nodes.suspect(node, code);
      throw error;
    }
  };
  return {
    route: (repository) => repositories.routeById(repository),
    prepare: async (repository, node, message, deadlineMs) => watched(node, client(node).prepare(repository, message, deadlineMs)),
    commit: async (repository, node, message, deadlineMs) => watched(node, client(node).commit(repository, message, deadlineMs)),
    abort: (repository, node, batch) => { void nodes.get(node)?.client.abort(repository, { batch, transactions: [] }).catch(() => {}); },
    forget: (repository, ids, transaction) => {
      for (const id of ids) void nodes.get(id)?.client.abort(repository, { transactions: [transaction] }).catch(() => {});
    },
    decide: ({ promised, transactions, events, ...decision }) => (
      decisions.commit({ ...decision, transactions: [...transactions], promised: [...promised], events: [...events] })),
    settle: ({ repository, batch, transactions }) => decisions.settle({ repository, batch, transactions: [...transactions] }),
    mark: async (repository, ids, state, reason, upTo) => {
      const mark = async () => {
        await replicas.mark(repository, [...ids], state, reason, upTo);
        input.onMark();
      };
      try {
        await mark();
      } catch (error) {
        // Nobody waits for it any more, but what is known to be wrong must not be forgotten with it.
        void again(clock, mark);
        throw error;
      }
    },
    decided: (transactions) => decisions.decided([...transactions]),
    random: input.random,
    coordinator: input.coordinator,
    clock,
    silence,
    newId,
    failpoint,
  };
}
