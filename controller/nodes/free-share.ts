/** The share of a node's disk that is free, 0 to 1; 0 of a disk without size. */
export function freeShare({ diskFreeBytes, diskTotalBytes }: { diskFreeBytes: number; diskTotalBytes: number }): number {
  return diskFreeBytes / Math.max(diskTotalBytes, 1);
}
