// TLS as Node has it (OpenSSL), both versions: certificates are made with `openssl`.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Client, startGateway } from './gateway.js';

const folder = mkdtempSync(join(tmpdir(), 'topic-gateway-tls-'));
const file = (name) => join(folder, name);
const openssl = (line) => execFileSync('openssl', line.split(' '), { cwd: folder, stdio: 'ignore' });

let gateway;
let ca;
before(async () => {
  const fresh = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30';
  openssl(`${fresh} -subj /CN=ca -keyout ca.key -out ca.crt`);
  const names = '-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE';
  openssl(`${fresh} -subj /CN=gateway ${names} -CA ca.crt -CAkey ca.key -keyout tls.key -out tls.crt`);
  ca = readFileSync(file('ca.crt'));
  const pair = Object.fromEntries(['tls.crt', 'tls.key'].map((name) => [name, readFileSync(file(name), 'utf8')]));
  const resource = {
    apiVersion: 'topicgateway.io/v1alpha1',
    kind: 'TopicGateway',
    metadata: { name: 'secure' },
    spec: {
      backbone: { memory: {} },
      listeners: { tls: { secretRef: { name: 'secure-tls' } } },
      authentication: { anonymous: 'Allow' },
      authorization: [{ subscribe: ['>'], publish: ['>'] }],
    },
  };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'secure-tls' }, stringData: pair };
  writeFileSync(file('gateway.yaml'), `${JSON.stringify(resource)}\n---\n${JSON.stringify(secret)}\n`);
  gateway = await startGateway('-f', file('gateway.yaml'));
});
after(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  test(`${version}: messages of any size reach a subscriber, and a close is answered`, async () => {
    const tls = { ca, minVersion: version, maxVersion: version };
    const client = await Client.open(`${gateway.url}/ws`, tls);
    client.send({ type: 'setup', topics: ['a'] });
    await client.expect('ready');
    await client.expect('subscribed');
    const publisher = await Client.open(`${gateway.url}/ws`, tls);
    for (const [n, size] of [1, 16_384, 60_000].entries()) {
      const payload = 'x'.repeat(size);
      publisher.send({ type: 'publish', topic: 'a', messageId: `${version}-${n}`, payload });
      assert.equal((await publisher.expect('ack')).status, 'ok');
      assert.equal((await client.expect('message')).data, payload);
    }
    for (const { socket, closed } of [client, publisher]) {
      socket.close(1000);
      assert.equal((await closed).code, 1000);
    }
  });
}

test('a request over https is answered', async () => {
  const { promise, resolve, reject } = withResolvers();
  request(`${gateway.url.replace('wss:', 'https:')}/stats`, { ca }, resolve).on('error', reject).end();
  const answer = await promise;
  assert.equal(answer.statusCode, 200);
  answer.resume();
});

function withResolvers() {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}
