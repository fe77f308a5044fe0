import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import anyTest, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { expectProtocol, PROTOCOL_HEADER } from '@trivet/proto/protocol-version.ts';
import { asTrivetError } from '@trivet/proto/errors.ts';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => { cluster = await Cluster.start({ nodes: 1 }); });
anyTest.after.always(() => cluster?.stop());

const boot = newId();

test('a node of another version works with a controller that it gets on with, whatever it says beyond what that knows', async (t) => {
  const url = await otherNode(t, { version: 2, oldest: 1 });
  t.is((await handshake('newer', url, '2 1')).status, 200);
  await untilTrouble('newer', null);
});

test('a node that is too far apart is refused, and one that refuses the controller is shown with its reason', async (t) => {
  const refused = await handshake('too-new', 'http://127.0.0.1:9', '9 9');
  t.is(refused.status, 409);
  t.like(await refused.json(), { code: 'version_mismatch', fields: { theirs: { version: 9, oldest: 9 } } });
  t.false((await nodes()).some(({ id }) => id === 'too-new'));

  // As after an upgrade of the node alone, when the controller has known it for long.
  const url = await otherNode(t, { version: 9, oldest: 9 });
  t.is((await handshake('upgraded', url, '1 1')).status, 200);
  await untilTrouble('upgraded', 'version_mismatch');
});

/** Answers heartbeats as a node of another version does. */
async function otherNode(t: ExecutionContext, version: { version: number; oldest: number }): Promise<string> {
  const id = version.oldest === 1 ? 'newer' : 'upgraded';
  const status = {
    node: id, boot, ready: true, writable: true, loadAverage: 0, diskFreeBytes: 1e9, diskTotalBytes: 1e9, gitProcesses: 0, replicas: 0, promises: 0,
    somethingNew: { of: 'a later version' },
  };
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    try {
      expectProtocol(request.headers[PROTOCOL_HEADER], version);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(status));
    } catch (error) {
      response.writeHead(asTrivetError(error).status, { 'content-type': 'application/json' }).end(JSON.stringify(error));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function handshake(node: string, url: string, version: string): Promise<Response> {
  return fetch(`${cluster.url}/internal/handshake`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await cluster.token()}`, 'content-type': 'application/json', [PROTOCOL_HEADER]: version },
    body: JSON.stringify({ node, url, boot, directory: { node, somethingNew: true }, somethingNew: 1 }),
  });
}

async function nodes(): Promise<{ id: string; trouble: string | null }[]> {
  return await (await fetch(`${cluster.url}/api/nodes`)).json() as { id: string; trouble: string | null }[];
}

async function untilTrouble(node: string, trouble: string | null): Promise<void> {
  let found: unknown;
  await until(async () => {
    found = (await nodes()).find(({ id }) => id === node)?.trouble;
    return found === trouble;
  }, PATIENCE_MS, () => `the trouble with ${node} is ${String(found)}, not ${trouble}`);
}
