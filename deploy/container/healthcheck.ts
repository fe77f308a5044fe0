import { get } from 'node:http';

// healthcheck [PATH]: exits 0 when the Trivet process of this container answers PATH with 200. The image has no curl.

const DEADLINE_MS = 4_000;

const path = process.argv[2] ?? '/healthz';
const controllerOrNode = [8081, 8082];
const ports = process.env['TRIVET_PORT'] ? [Number(process.env['TRIVET_PORT'])] : controllerOrNode;

const healthy = await Promise.all(ports.map((port) => new Promise<boolean>((done) => {
  const request = get({ host: '127.0.0.1', port, path, timeout: DEADLINE_MS }, (response) => {
    response.resume();
    done(response.statusCode === 200);
  });
  request.once('timeout', () => request.destroy(new Error('no answer in time')));
  request.once('error', () => done(false));
})));
process.exitCode = healthy.includes(true) ? 0 : 1;
