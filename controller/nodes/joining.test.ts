import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { NodeStatus } from '@trivet/proto/messages.ts';
import type { Node } from '../store/rows.ts';
import { Joining } from './joining.ts';

const OLD = 'a'.repeat(32);
const NEW = 'b'.repeat(32);
const known = { id: 'n1', url: 'http://old', boot: OLD, state: 'active' } as Node;
const newcomer = { node: 'n1', url: 'http://new', boot: NEW };

/** @param answers what answers at the old URL: a boot; undefined: nobody */
function joining(node: Node | undefined, answers: string | undefined, cluster = 'c'.repeat(32)) {
  return new Joining({ get: async () => node }, cluster, (id, url) => ({
    status: async () => {
      if (answers === undefined || url !== 'http://old') throw new TrivetError('node_unreachable', { node: id });
      return { node: id, boot: answers } as NodeStatus;
    },
  }));
}

test('a node that was never there is admitted, and hears whose cluster it is', async (t) => {
  t.is(await joining(undefined, undefined, 'c'.repeat(32)).admit(newcomer), 'c'.repeat(32));
});

test('a node that comes back at another URL is admitted when nobody answers at the old one', async (t) => {
  await t.notThrowsAsync(joining(known, undefined).admit(newcomer));
});

test('a second process under a node\'s name is refused while the first one answers', async (t) => {
  await t.throwsAsync(joining(known, OLD).admit(newcomer), { code: 'node_id_in_use' });
});

test('one that answers at the old URL as another process is no reason to refuse', async (t) => {
  await t.notThrowsAsync(joining(known, 'f'.repeat(32)).admit(newcomer));
});

test('the same process, asked again, is admitted', async (t) => {
  await t.notThrowsAsync(joining(known, OLD).admit({ ...newcomer, boot: OLD }));
  await t.notThrowsAsync(joining(known, OLD).admit({ ...newcomer, url: known.url }));
});

test('a removed node stays out', async (t) => {
  await t.throwsAsync(joining({ ...known, state: 'removed' }, undefined).admit(newcomer), { code: 'node_removed' });
});

test('a directory of another cluster is refused; one that never joined any is not', async (t) => {
  await t.throwsAsync(joining(known, undefined, 'c'.repeat(32)).admit({ ...newcomer, cluster: 'd'.repeat(32) }), { code: 'wrong_cluster' });
  await t.notThrowsAsync(joining(known, undefined, 'c'.repeat(32)).admit(newcomer));
});
