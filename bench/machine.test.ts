import test from 'ava';
import { busyWarning, fileSystemOf } from './machine.ts';

const MOUNTS = `/dev/a / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/b /tmpfoo xfs rw 0 0
/dev/c /tmp/deep btrfs rw 0 0
/dev/d /tmp/deep zfs rw 0 0
`;

for (const [path, type] of [
  ['/home/x', 'ext4'],
  ['/tmp/x', 'tmpfs'],
  ['/tmp', 'tmpfs'],
  ['/tmpfoo/x', 'xfs'],
  ['/tmp/deep/x', 'zfs'],
] as const) {
  test(`${path} lies on ${type}`, (t) => {
    t.is(fileSystemOf(path, MOUNTS), type);
  });
}

test('a busy machine is warned of, a quiet one not', (t) => {
  const machine = { cores: 4, cpu: '', memoryGiB: 1, kernel: '', git: '', node: '', fileSystem: '', loadAverage: 2 };
  t.is(busyWarning(machine), undefined);
  t.regex(busyWarning({ ...machine, loadAverage: 2.1 }) ?? '', /load average 2\.1 on 4 cores/);
});
