import test from 'ava';
import { formatAge, formatBar, formatBytes, formatCount, formatDuration, formatNumber, formatTime, formatUntil } from './format.ts';

const NOW = Date.parse('2026-11-25T12:00:00.000Z');
const at = (ms: number) => new Date(NOW + ms).toISOString();

test('bytes are told in the unit that leaves at most four digits', (t) => {
  const table: [number, string][] = [
    [0, '0 B'], [999, '999 B'], [1023, '1023 B'], [1024, '1.0 KiB'], [1536, '1.5 KiB'], [10_189, '10 KiB'], [10_240, '10 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'], [27_000_000, '26 MiB'], [1024 ** 3, '1.0 GiB'], [1024 ** 6, '1024 PiB'],
  ];
  for (const [bytes, text] of table) t.is(formatBytes(bytes), text);
});

test('counts have groups of digits, and one is not many', (t) => {
  t.is(formatCount(1_234_567), '1,234,567');
  t.is(formatNumber(1, 'replica'), '1 replica');
  t.is(formatNumber(0, 'replica'), '0 replicas');
  t.is(formatNumber(1_200, 'repository', 'repositories'), '1,200 repositories');
});

test('durations have two units at most, and never 60 of the smaller one', (t) => {
  const table: [number, string][] = [
    [0, '0 ms'], [12.3, '12 ms'], [999, '999 ms'], [1_000, '1.0 s'], [4_240, '4.2 s'], [9_949, '9.9 s'], [9_950, '10 s'], [59_400, '59 s'],
    [59_500, '1 min'], [60_000, '1 min'], [185_000, '3 min 5 s'], [3_599_600, '1 h'], [7_800_000, '2 h 10 min'], [86_399_000, '1 d'], [273_600_000, '3 d 4 h'],
  ];
  for (const [ms, text] of table) t.is(formatDuration(ms), text, String(ms));
});

test('an age is never negative: clocks differ', (t) => {
  t.is(formatAge(at(-90_000), NOW), '1 min 30 s');
  t.is(formatAge(at(-1_000), NOW), '1 s');
  t.is(formatAge(at(-999), NOW), '0 s');
  t.is(formatAge(at(60_000), NOW), '0 s');
});

test('what is due is due now', (t) => {
  t.is(formatUntil(at(-5_000), NOW), 'now');
  t.is(formatUntil(at(4_200), NOW), 'in 4 s');
  t.is(formatUntil(at(90_000), NOW), 'in 1 min 30 s');
});

test('a time is told in UTC', (t) => {
  t.is(formatTime('2026-11-25T02:40:34.123Z'), '2026-11-25 02:40:34 UTC');
});

test('a bar is as wide whatever it shows, and full only at its end', (t) => {
  const table: [number | undefined, string][] = [
    [undefined, '[░░░░░░░░░░]   ? %'], [0, '[░░░░░░░░░░]   0 %'], [0.45, '[████░░░░░░]  45 %'], [0.999, '[█████████░]  99 %'], [1, '[██████████] 100 %'],
    [1.5, '[██████████] 100 %'], [-1, '[░░░░░░░░░░]   0 %'],
  ];
  for (const [share, text] of table) t.is(formatBar(share, 10), text);
});
