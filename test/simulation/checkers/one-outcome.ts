import type { AskedDecision, CheckerFactory } from './checker.ts';

/** Invariant 2: a batch has one outcome, the same on every replica that SQL counts on, and it is the one that SQL holds. */
export const oneOutcome: CheckerFactory = (simulation, violate) => {
  const outcomes = new Map<string, { node: string; kind: 'committed' | 'aborted' }[]>();
  const decisions = new Map<string, AskedDecision>();
  const isCommitted = (batch: string) => simulation.store.all("SELECT 1 FROM transactions WHERE batch = ? AND outcome = 'commit' LIMIT 1", [batch]).length > 0;
  const check = (batch: string, node: string, kind: 'committed' | 'aborted') => {
    // Whoever wasn't counted drops its late promise, and is outdated by the same decision.
    if (kind === 'aborted' && decisions.get(batch)?.promised.includes(node) !== true) return;
    if (isCommitted(batch) !== (kind === 'committed')) {
      violate(`${node} took batch ${simulation.short(batch)} for ${kind}, and SQL ${kind === 'committed' ? 'holds no commit of it' : 'has committed it'}`);
    }
  };
  return {
    name: 'a transaction has one outcome',
    asked: (decision) => { decisions.set(decision.batch, decision); },
    recorded: (node, record) => {
      if (record.kind !== 'committed' && record.kind !== 'aborted') return;
      outcomes.set(record.batch, [...outcomes.get(record.batch) ?? [], { node, kind: record.kind }]);
      check(record.batch, node, record.kind);
    },
    atEnd: () => {
      for (const [batch, known] of outcomes) for (const { node, kind } of known) check(batch, node, kind);
    },
  };
};
