import test from 'ava';
import type { Route } from '../store/rows.ts';
import { MaintenancePermission, obstacle } from './permission.ts';

const CASES: [name: string, change: Parameters<typeof routeOf>[0], urgent: boolean, reason: string | undefined][] = [
  ['while every replica is current and can stand in', {}, false, undefined],
  ['not while another replica is behind', { n2: 'outdated' }, false, 'the replica on n2 could not stand in'],
  ['though another is behind, where it is urgent', { n2: 'outdated' }, true, undefined],
  ['not while its own replica is not current, even where it is urgent', { n1: 'repairing' }, true, 'the replica is not current'],
  ['not while another node does not answer', { n3: 'unreachable' }, false, 'the replica on n3 could not stand in'],
  ['not while a replica is missing from the list', { n3: 'absent' }, false, 'the repository has too few replicas'],
  ['not for a replica that is none', { n1: 'absent' }, true, 'the node holds no replica of this repository'],
];

for (const [name, change, urgent, reason] of CASES) {
  test(`a node may maintain its replica: ${name}`, (t) => {
    t.is(obstacle(routeOf(change), 'n1', urgent, (node) => change[node] !== 'unreachable'), reason);
  });
}

test('no permission is asked for twice: it is renewed whatever has become of the others, and ends', async (t) => {
  let route: Route | undefined = routeOf({});
  const held = new Map<string, string>();
  const permission = new MaintenancePermission({
    repositories: { routeById: async () => route },
    leases: {
      take: async (repository, node) => (held.get(repository) ?? node) === node && Boolean(held.set(repository, node)),
      release: async (repository) => { held.delete(repository); },
    },
    isUsable: () => true,
  });
  const ask = (node: string, kind: 'begin' | 'renew' | 'end') => permission.answer({ node, repository: 'r', kind, urgent: false });
  t.like(await ask('n1', 'begin'), { granted: true });
  t.like(await ask('n2', 'begin'), { granted: false, reason: 'another replica is being maintained' });
  route = routeOf({ n2: 'outdated' });
  t.like(await ask('n1', 'renew'), { granted: true });
  await ask('n1', 'end');
  t.like(await ask('n1', 'begin'), { granted: false });
  route = undefined;
  t.like(await ask('n1', 'begin'), { granted: false });
});

function routeOf(change: Record<string, string>): Route {
  return {
    repository: { id: 'r', name: 'r', replicationFactor: 3 },
    replicas: ['n1', 'n2', 'n3'].filter((node) => change[node] !== 'absent')
      .map((node) => ({ node, state: change[node] === undefined || change[node] === 'unreachable' ? 'current' : change[node] })),
  } as unknown as Route;
}
