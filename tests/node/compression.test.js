// permessage-deflate as Node's `ws` speaks it, which compresses what it sends too.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Client, startGateway } from './gateway.js';

let compressing;
let plain;
before(async () => {
  compressing = await startGateway('-f', fileURLToPath(new URL('compression.yaml', import.meta.url)));
  plain = await startGateway();
});
after(() => Promise.all([compressing.stop(), plain.stop()]));

const open = async (gateway, perMessageDeflate, topics = []) => {
  const client = await Client.open(`${gateway.url}/ws`, { perMessageDeflate });
  client.send({ type: 'setup', topics });
  await client.expect('ready');
  for (const _ of topics) await client.expect('subscribed');
  return client;
};

const ALWAYS = { threshold: 0 };

test('one compressed message serves everybody who has agreed, and the others read it plain', async () => {
  const publisher = await open(compressing, ALWAYS);
  const clients = await Promise.all([ALWAYS, ALWAYS, false].map((option) => open(compressing, option, ['a'])));
  assert.deepEqual(clients.map((client) => client.socket.extensions !== ''), [true, true, false]);
  const payload = { text: 'abc é '.repeat(500) };
  const before = clients.map((client) => client.socket._socket.bytesRead);
  for (const messageId of ['1', '2']) {
    publisher.send({ type: 'publish', topic: 'a', messageId, payload });
    await publisher.expect('ack');
    for (const client of clients) assert.deepEqual((await client.expect('message')).data, payload);
  }
  const [, compressed, uncompressed] = clients.map((client, index) => client.socket._socket.bytesRead - before[index]);
  assert.ok(compressed * 10 < uncompressed, `${compressed} of ${uncompressed} bytes`);
});

test('every window that a client may ask for is answered or left alone', async () => {
  for (const [option, agreed] of [
    [{ serverMaxWindowBits: 15, clientMaxWindowBits: 9 }, true],
    [{ serverMaxWindowBits: 9 }, false],
    [{ serverNoContextTakeover: true, clientNoContextTakeover: true }, true],
  ]) {
    const client = await open(compressing, option);
    assert.equal(client.socket.extensions !== '', agreed, JSON.stringify(option));
    client.socket.close();
  }
});

test('a message over the limit is refused however small it comes', async () => {
  const client = await open(compressing, ALWAYS);
  const other = await open(compressing, ALWAYS);
  client.send({ type: 'publish', topic: 'a', messageId: '1', payload: 'a'.repeat(5_000_000) });
  assert.equal((await client.closed).code, 1009);
  other.send({ type: 'ping', id: '1' });
  assert.equal((await other.expect('pong')).id, '1');
});

test('without the setting an offer is left alone', async () => {
  const client = await open(plain, ALWAYS);
  assert.equal(client.socket.extensions, '');
});
