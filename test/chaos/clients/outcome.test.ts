import test from 'ava';
import type { Outcome } from '../history/history.ts';
import { outcomesOf } from './outcome.ts';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const ZERO = '0'.repeat(40);
const sent = (old: string, value: string, ref: string) => `02:41:50.960525 pkt-line.c:80           packet:          git> ${old} ${value} ${ref}\\0 report-status-v2 side-band-64k`;
const MAIN = 'refs/heads/main';

for (const [name, traces, outcome] of [
  ['acknowledged, when the server reported it', { packets: sent(A, B, MAIN), stdout: `To x\n \t${B}:${MAIN}\taaa..bbb\nDone\n`, stderr: '' }, 'ok'],
  ['acknowledged, when it is a new branch', { packets: sent(ZERO, B, MAIN), stdout: `*\t${B}:${MAIN}\t[new branch]\n`, stderr: '' }, 'ok'],
  ['rejected, when the server reported that', { packets: sent(A, B, MAIN), stdout: `!\t${B}:${MAIN}\t[remote rejected] (non-fast-forward)\n`, stderr: '' }, 'rejected'],
  ['rejected, when git never sent it', { packets: '', stdout: `!\t${B}:${MAIN}\t[rejected] (fetch first)\n`, stderr: '' }, 'rejected'],
  ['rejected, when the server said why it did nothing', { packets: sent(A, B, MAIN), stdout: '', stderr: 'remote: trivet: not enough current replicas to accept a push\n' }, 'rejected'],
  ['rejected, when the server answered with a status', { packets: sent(A, B, MAIN), stdout: '', stderr: 'error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503\n' }, 'rejected'],
  ['unknown, when the connection broke', { packets: sent(A, B, MAIN), stdout: '', stderr: 'error: RPC failed; curl 56 Recv failure: Connection reset by peer\n' }, 'unknown'],
  ['unknown, when the report never came', { packets: sent(A, B, MAIN), stdout: `!\t${B}:${MAIN}\t[remote failure] (remote failed to report status)\n`, stderr: '' }, 'unknown'],
  ['unknown, when the server says so', { packets: sent(A, B, MAIN), stdout: '', stderr: 'remote: trivet: it is not known yet whether the push was committed; fetch before you push again\n' }, 'unknown'],
  ['unknown, when the refusal is of the request that curl sent again', { packets: sent(A, B, MAIN), stdout: '', stderr: 'error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503\n', curl: '== Info: Connection died, retrying a fresh connect (retry count: 1)\n' }, 'unknown'],
  ['unknown, when the report is on the request that curl sent again', { packets: sent(A, B, MAIN), stdout: `!\t${B}:${MAIN}\t[remote rejected] (incorrect old value provided)\n`, stderr: '', curl: '== Info: Connection died, retrying a fresh connect (retry count: 1)\n' }, 'unknown'],
] as [string, { packets: string; stdout: string; stderr: string; curl?: string }, Outcome][]) {
  test(`a push is ${name}`, (t) => {
    t.is(outcomesOf(new Map([[MAIN, B]]), { curl: '', ...traces })[0]!.outcome, outcome);
  });
}

test('the old value is what was on the wire, and nothing for a ref that was not there', (t) => {
  const updates = outcomesOf(new Map([[MAIN, B], ['refs/tags/t', A]]), { packets: `${sent(A, B, MAIN)}\n${sent(ZERO, A, 'refs/tags/t')}\n`, stdout: '', stderr: '', curl: '' });
  t.deepEqual(updates.map(({ old }) => old), [A, null]);
});

test('of a push of several refs each has its own outcome', (t) => {
  const updates = outcomesOf(new Map([[MAIN, B], ['refs/heads/x', null]]), {
    packets: `${sent(A, B, MAIN)}\n${sent(A, ZERO, 'refs/heads/x')}\n`, stdout: ` \t${B}:${MAIN}\ta..b\n!\t:refs/heads/x\t[remote rejected] (deletion prohibited)\n`, stderr: '', curl: '',
  });
  t.deepEqual(updates.map(({ outcome }) => outcome), ['ok', 'rejected']);
});
