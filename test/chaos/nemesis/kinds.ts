import type { DiskFault } from '../deployment/disk.ts';

/**
 * Every fault there is; `faults.ts` says what each does and how it ends.
 * `destroys`: it takes away or falsifies what a disk held. At most a minority of a repository's replicas may be treated so
 * at a time, and the next time only after everything is repaired, for what is on no disk can't be kept.
 * `needs`: it is left out where the disks can't do it.
 * `silent`: only background verification can find it; without that it is left out.
 */
export interface KindOfFault { destroys?: true; needs?: DiskFault; silent?: true; weight: number }

export const KINDS = {
  'kill-node': { weight: 3 },
  'kill-controller': { weight: 2 },
  'kill-everything': { weight: 1 },
  'stop-node': { weight: 2 },
  'stop-controller': { weight: 2 },
  'stop-database': { weight: 1 },
  'stutter': { weight: 1 },
  'kill-database': { weight: 1 },
  'cut': { weight: 4 },
  'isolate': { weight: 2 },
  'split': { weight: 1 },
  'break-connections': { weight: 1 },
  'slow-link': { weight: 2 },
  'slow-node': { weight: 1 },
  'fill-disk': { weight: 1, needs: 'fill' },
  'fail-disk': { weight: 1, needs: 'fail' },
  'freeze-disk': { weight: 1, needs: 'freeze' },
  'power-loss': { weight: 1, needs: 'fail' },
  'power-loss-everywhere': { weight: 1, needs: 'fail' },
  'take-backup': { weight: 1 },
  'restore-backup': { weight: 1, destroys: true },
  'lose-disk': { weight: 1, destroys: true },
  'lose-replica': { weight: 1, destroys: true },
  'swap-disks': { weight: 1, destroys: true, needs: 'swap' },
  'flip-bit': { weight: 1, destroys: true, silent: true },
  'truncate-packed-refs': { weight: 1, destroys: true, silent: true },
  'edit-ref': { weight: 1, destroys: true, silent: true },
  'delete-index': { weight: 1, destroys: true, silent: true },
  'delete-replica': { weight: 1, destroys: true, silent: true },
} satisfies Record<string, KindOfFault>;

export type FaultKind = keyof typeof KINDS;

export const FAULT_KINDS = Object.keys(KINDS) as FaultKind[];

export function kindOf(kind: FaultKind): KindOfFault {
  return KINDS[kind];
}
