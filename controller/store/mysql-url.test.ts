import test from 'ava';
import { parseMysqlUrl, tlsModeOf } from './mysql-url.ts';

test('a URL names one server or several, and a port where it is not the usual one', (t) => {
  t.deepEqual(parseMysqlUrl('mysql://user:pass@a/trivet'), {
    servers: [{ host: 'a', port: 3306 }], user: 'user', password: 'pass', database: 'trivet', tls: undefined,
  });
  t.deepEqual(parseMysqlUrl('mysql://u@a.example:3307,10.0.0.1,[fd00::1]:3308/trivet?ssl-mode=VERIFY_CA'), {
    servers: [{ host: 'a.example', port: 3307 }, { host: '10.0.0.1', port: 3306 }, { host: 'fd00::1', port: 3308 }],
    user: 'u', password: '', database: 'trivet', tls: 'verify-ca',
  });
});

test('a user and a password have what characters they like, written with %', (t) => {
  t.like(parseMysqlUrl('mysql://a%40b:%3A%2F%40%25@h/d'), { user: 'a@b', password: ':/@%' });
  t.like(parseMysqlUrl('mysql://u:p@ss:word@h/d'), { user: 'u', password: 'p@ss:word' });
});

for (const [url, complaint] of [
  ['mysql://h', /must have the form/], ['mysql://h/', /must have the form/], ['mysql://u:secret@/d', /must have the form/],
  ['mysql://h:0/d', /no host:port/], ['mysql://h:70000/d', /no host:port/], ['mysql://a,,b/d', /no host:port/],
  ['mysql://h/d?ssl=true', /"ssl" is no option/], ['mysql://h/d?ssl-mode=maybe', /ssl-mode is one of/], ['mysql://u:%zz@h/d', /has a %/],
] as const) {
  test(`${url} is refused with a reason`, (t) => {
    const error = t.throws(() => parseMysqlUrl(url), { message: complaint });
    t.false(error.message.includes('secret'));
  });
}

test('a CA asks for TLS and for everything to be verified, unless the URL says what', (t) => {
  const mode = (query: string, hasCa: boolean) => tlsModeOf(parseMysqlUrl(`mysql://h/d${query}`), hasCa);
  t.is(mode('', false), 'disabled');
  t.is(mode('', true), 'verify-identity');
  t.is(mode('?ssl-mode=verify-ca', true), 'verify-ca');
  t.is(mode('?ssl-mode=verify-identity', false), 'verify-identity');
  t.throws(() => tlsModeOf(parseMysqlUrl('mysql://a,10.0.0.1/d'), true), { message: /10\.0\.0\.1 has no name/ });
});
