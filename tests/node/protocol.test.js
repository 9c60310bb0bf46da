// The protocol as a web developer meets it: Node's `ws`, no code of ours in between.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client, startGateway } from './gateway.js';

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway.stop());

const subscriber = async (...topics) => {
  const client = await Client.open(`${gateway.url}/ws`);
  client.send({ type: 'setup', topics });
  await client.expect('ready');
  for (const topic of topics) assert.equal((await client.expect('subscribed')).topic, topic);
  return client;
};

test('ready, subscribed and messages come in this order, to the subscribers of the topic alone', async () => {
  const ann = await subscriber('order.a');
  const bob = await subscriber('order.a', 'order.b');
  const publisher = await subscriber();
  for (const [topic, payload] of [['order.a', { n: 1 }], ['order.b', { n: 2 }], ['order.a', { n: 3 }]]) {
    publisher.send({ type: 'publish', topic, messageId: `m${payload.n}`, payload });
    assert.equal((await publisher.expect('ack')).status, 'ok');
  }
  assert.deepEqual((await ann.expect('message')).data, { n: 1 });
  assert.deepEqual((await ann.expect('message')).data, { n: 3 });
  for (const n of [1, 2, 3]) assert.deepEqual((await bob.expect('message')).data, { n });
  ann.send({ type: 'ping', id: 'last' });
  assert.deepEqual(await ann.expect('pong'), { type: 'pong', id: 'last' });
});

test('many messages in one go stay whole and in order', async () => {
  const client = await subscriber('burst');
  const publishers = await Promise.all(Array.from({ length: 10 }, () => subscriber()));
  const sent = publishers.flatMap((publisher, p) =>
    Array.from({ length: 20 }, (_, n) => {
      const messageId = `${p}-${n}`;
      publisher.send({ type: 'publish', topic: 'burst', messageId, payload: { p, n, filler: 'é'.repeat(500) } });
      return messageId;
    }),
  );
  const next = new Array(publishers.length).fill(0);
  for (let seqNo = 1; seqNo <= sent.length; seqNo += 1) {
    const message = await client.expect('message');
    assert.equal(message.seqNo, seqNo);
    assert.equal(message.prevSeqNo, seqNo - 1);
    assert.equal(message.data.n, next[message.data.p], 'the order of each publisher');
    next[message.data.p] += 1;
  }
});

test('the topic may stand in the URL', async () => {
  const client = await Client.open(`${gateway.url}/ws/sub/url.topic`);
  assert.equal((await client.expect('subscribed')).topic, 'url.topic');
  const publisher = await subscriber();
  publisher.send({ type: 'publish', topic: 'url.topic', messageId: 'm', payload: 'hello' });
  await publisher.expect('ack');
  assert.equal((await client.expect('message')).data, 'hello');
});

test('a page of this machine is served, a page from elsewhere is closed with 4403', async () => {
  const local = await Client.open(`${gateway.url}/ws`, { origin: 'http://localhost:5173' });
  local.send({ type: 'ping' });
  await local.expect('pong');
  const foreign = await Client.open(`${gateway.url}/ws`, { origin: 'https://evil.example.com' });
  assert.equal((await foreign.closed).code, 4403);
});

test('compression that a client offers is not used and does no harm', async () => {
  const client = await Client.open(`${gateway.url}/ws`, { perMessageDeflate: true });
  assert.equal(client.socket.extensions, '');
  client.send({ type: 'ping' });
  await client.expect('pong');
});

test('a binary frame is refused with 1003, a wrong command with an error', async () => {
  const client = await subscriber();
  client.send({ type: 'nonsense', id: 1 });
  const error = await client.expect('error');
  assert.deepEqual([error.code, error.id], ['BAD_REQUEST', 1]);
  client.socket.send(Buffer.from('{}'));
  assert.equal((await client.closed).code, 1003);
});

test('a WebSocket ping is answered and a close is answered with its code', async () => {
  const client = await subscriber();
  const pong = new Promise((resolve) => client.socket.once('pong', resolve));
  client.socket.ping('beat');
  assert.equal((await pong).toString(), 'beat');
  client.socket.close(1000, 'bye');
  assert.equal((await client.closed).code, 1000);
});

test('a gateway that goes away says so and closes with 1012', async () => {
  const leaving = await startGateway('-f', new URL('leaving.yaml', import.meta.url).pathname);
  const client = await Client.open(`${leaving.url}/ws/sub/a`);
  await client.expect('subscribed');
  const exit = leaving.stop();
  assert.ok((await client.expect('draining')).reconnectAfterMs >= 0);
  assert.equal((await client.closed).code, 1012);
  assert.equal(await exit, 0);
});
