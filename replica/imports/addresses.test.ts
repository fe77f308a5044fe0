import test from 'ava';
import { isPublic } from './addresses.ts';

const INWARD = [
  '127.0.0.1', '127.255.255.254', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.2.1',
  '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', 'fe80::1', 'fc00::1', 'fd12::1',
  'ff02::1', '2001:db8::1', '2002:7f00:1::', '2001::1',
];
const OUTWARD = ['8.8.8.8', '172.15.255.255', '172.32.0.1', '192.167.1.1', '100.63.0.1', '223.255.255.255', '2606:4700::1111', '2a00:1450:4001::1'];

test('addresses that lead inward are told from those of the public internet', (t) => {
  for (const address of INWARD) t.false(isPublic(address), address);
  for (const address of OUTWARD) t.true(isPublic(address), address);
});
