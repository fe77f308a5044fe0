import { execFile, spawnSync } from 'node:child_process';
import { mkdir, open, readFile, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../../cluster.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const UNMOUNT_PATIENCE_MS = 20_000;

/**
 * What can be done to a disk. `fail`: an error of the file system, from which it is read-only; `freeze`: writes hang; `swap`: it
 * comes up where another one belongs.
 */
export type DiskFault = 'fill' | 'fail' | 'freeze' | 'swap';

/**
 * A node's data directory. With root rights and loop devices it is an ext4 file system of its own: one that can be full,
 * fail (the kernel turns it read-only, and what was never synced is lost, as in a loss of power) or hang. With root rights
 * alone it is a tmpfs that can be full. Else a plain directory, and these faults are left out.
 */
export class Disk {
  readonly path: string;
  readonly kind: 'ext4' | 'tmpfs' | 'directory';
  #image: string;
  readonly #bytes: number;
  #mounted = false;
  #frozen = false;

  private constructor(path: string, kind: Disk['kind'], bytes: number) {
    this.path = path;
    this.kind = kind;
    this.#image = `${path}.image`;
    this.#bytes = bytes;
  }

  /** A plain directory, where nothing is done to disks. */
  static async plain(path: string): Promise<Disk> {
    await mkdir(path, { recursive: true });
    return new Disk(path, 'directory', 0);
  }

  /** @param bytes its size; sparse, so only what is used is taken */
  static async create(path: string, bytes: number): Promise<Disk> {
    await mkdir(path, { recursive: true });
    for (const kind of process.getuid?.() === 0 ? ['ext4', 'tmpfs'] as const : []) {
      const disk = new Disk(path, kind, bytes);
      try {
        if (kind === 'ext4') await disk.#format();
        await disk.mount();
        return disk;
      } catch {
        await disk.remove();
        await mkdir(path, { recursive: true });
      }
    }
    return new Disk(path, 'directory', bytes);
  }

  get can(): ReadonlySet<DiskFault> {
    return new Set<DiskFault>(this.kind === 'ext4' ? ['fill', 'fail', 'freeze', 'swap'] : this.kind === 'tmpfs' ? ['fill'] : []);
  }

  async mount(): Promise<void> {
    if (this.kind === 'directory' || this.#mounted) return;
    const args = this.kind === 'ext4'
      ? ['-o', 'loop,errors=remount-ro', this.#image, this.path]
      : ['-t', 'tmpfs', '-o', `size=${this.#bytes}`, 'tmpfs', this.path];
    await run('mount', args);
    this.#mounted = true;
    MOUNTED.add(this);
  }

  /** Leaves not a byte free. */
  async fill(): Promise<void> {
    // Else it would be the disk of this machine.
    if (!this.#mounted) throw new Error(`${this.path} is not mounted`);
    const { bavail, bsize } = await statfs(this.path);
    await run('fallocate', ['-l', String(bavail * bsize), this.#ballast]).catch(() => {});
    const file = await open(this.#ballast, 'a');
    try {
      for (const bytes of [MIB, 4096, 1]) {
        const block = Buffer.alloc(bytes);
        // Ends with ENOSPC, which is what is wanted.
        await (async () => { for (;;) await file.appendFile(block); })().catch(() => {});
      }
    } finally {
      await file.close();
    }
  }

  /** Ends `fill`. */
  async free(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  /** An error of the file system: whatever is written from now on is refused. Ends with `mend`. */
  async fail(): Promise<void> {
    const { stdout } = await run('findmnt', ['-no', 'SOURCE', this.path]);
    await writeFile(`/sys/fs/ext4/${basename(stdout.trim())}/trigger_fs_error`, '1');
  }

  /** What an operator does after `fail`: check, repair, mount again. Nothing may have a file open there. */
  async mend(): Promise<void> {
    await this.unmount();
    // Exit status 1 says that something was repaired.
    await run('e2fsck', ['-f', '-y', this.#image]).catch((error: { code?: unknown }) => { if (error.code !== 1) throw error; });
    await this.mount();
  }

  /** Each comes up in the other's place. Nothing may have a file open on either. */
  async swap(other: Disk): Promise<void> {
    await Promise.all([this.unmount(), other.unmount()]);
    [this.#image, other.#image] = [other.#image, this.#image];
    await Promise.all([this.mount(), other.mount()]);
  }

  /** Writes hang until `thaw`, and so does whoever writes: not even SIGKILL ends it before. */
  async freeze(): Promise<void> {
    this.#frozen = true;
    await run('fsfreeze', ['-f', this.path]);
  }

  async thaw(): Promise<void> {
    if (!this.#frozen) return;
    await run('fsfreeze', ['-u', this.path]);
    this.#frozen = false;
  }

  /** For the end of a process that had no time for more. */
  releaseNow(): void {
    if (!this.#mounted) return;
    if (this.#frozen) spawnSync('fsfreeze', ['-u', this.path]);
    spawnSync('umount', ['-l', this.path]);
    this.#mounted = false;
  }

  /** @throws Error when something still uses it after a while */
  async unmount(): Promise<void> {
    if (!this.#mounted) return;
    // The last of a killed node's children may still be on their way out.
    await until(() => run('umount', [this.path]).then(() => true, () => false), UNMOUNT_PATIENCE_MS, () => `${this.path} is still in use`);
    this.#mounted = false;
    MOUNTED.delete(this);
  }

  async remove(): Promise<void> {
    await this.thaw();
    await this.unmount().catch(() => this.releaseNow());
    MOUNTED.delete(this);
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 });
    await rm(this.#image, { force: true });
  }

  get #ballast(): string {
    return join(this.path, 'ballast');
  }

  async #format(): Promise<void> {
    if (!(await readFile('/proc/filesystems', 'utf8')).includes('ext4')) throw new Error('no ext4 here');
    await writeFile(this.#image, '');
    await truncate(this.#image, this.#bytes);
    await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-i', '8192', this.#image]);
  }
}

/** Mounts of this process: however it ends, they go with it. */
const MOUNTED = new Set<Disk>();
process.on('exit', () => { for (const disk of MOUNTED) disk.releaseNow(); });
