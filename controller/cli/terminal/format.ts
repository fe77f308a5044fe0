const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** `0 B`, `999 B`, `1.5 KiB`, `12 MiB`: at most four digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1,023.6 KiB would be shown as 1,024 KiB.
  while (Math.round(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1,234,567` */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `1 repository`, `2 repositories` */
export function formatNumber(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `0 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`: two units at most. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / SECOND_MS).toFixed(1)} s`;
  if (ms < MINUTE_MS - SECOND_MS / 2) return `${Math.round(ms / SECOND_MS)} s`;
  // Rounded in the smaller unit first: no `2 min 60 s`.
  const seconds = Math.round(ms / SECOND_MS);
  if (seconds < 3_600) return pair(seconds, 60, 'min', 's');
  const minutes = Math.round(ms / MINUTE_MS);
  if (minutes < 24 * 60) return pair(minutes, 60, 'h', 'min');
  return pair(Math.round(ms / HOUR_MS), 24, 'd', 'h');
}

/** How long ago a time was; `0 s` when a clock that is ahead wrote it. */
export function formatAge(time: string, nowMs: number): string {
  const ms = Math.max(nowMs - Date.parse(time), 0);
  return ms < SECOND_MS ? '0 s' : formatDuration(Math.floor(ms / SECOND_MS) * SECOND_MS).replace('.0 ', ' ');
}

/** How long it is until a time, or `now`. */
export function formatUntil(time: string, nowMs: number): string {
  const ms = Date.parse(time) - nowMs;
  return ms < SECOND_MS ? 'now' : `in ${formatDuration(Math.round(ms / SECOND_MS) * SECOND_MS).replace('.0 ', ' ')}`;
}

/** `2026-11-25 02:40:34 UTC` */
export function formatTime(time: string): string {
  return `${time.slice(0, 19).replace('T', ' ')} UTC`;
}

/**
 * `[██████░░░░░░░░]  45 %`, always of the same width.
 * @param share 0 to 1; undefined when nobody knows it
 */
export function formatBar(share: number | undefined, width: number): string {
  const known = Math.min(Math.max(share ?? 0, 0), 1);
  const full = Math.floor(known * width);
  // 100 % is for what is complete.
  const percent = share === undefined ? '  ?' : String(known >= 1 ? 100 : Math.min(Math.round(known * 100), 99)).padStart(3);
  return `[${'█'.repeat(full)}${'░'.repeat(width - full)}] ${percent} %`;
}

function pair(value: number, size: number, large: string, small: string): string {
  const rest = value % size;
  return `${Math.floor(value / size)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}
