import test from 'ava';
import { RecentContents } from './recent-contents.ts';

test('forgets the contents that were not used for longest when the memory is full', (t) => {
  const recent = new RecentContents(10_000);
  recent.set('first', 'blob', Buffer.alloc(2000, 1));
  for (let i = 0; i < 50; i++) {
    t.is(recent.get('first')?.body.length, 2000);
    recent.set(`other ${i}`, 'tree', Buffer.alloc(1000));
    t.true(recent.bytes <= 10_000);
  }
  t.is(recent.get('other 0'), undefined);
  t.is(recent.get('other 49')?.type, 'tree');
});

test('keeps a copy, counts an object once, and leaves out what is large', (t) => {
  const recent = new RecentContents(1024 * 1024);
  const body = Buffer.from('text');
  recent.set('key', 'blob', body);
  const { bytes } = recent;
  recent.set('key', 'blob', body);
  t.is(recent.bytes, bytes);
  body.fill(0);
  t.deepEqual(recent.get('key'), { type: 'blob', body: Buffer.from('text') });
  recent.set('large', 'blob', Buffer.alloc(600_000));
  t.is(recent.get('large'), undefined);
});
