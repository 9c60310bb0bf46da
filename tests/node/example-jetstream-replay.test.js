// examples/jetstream-replay.yaml: two gateways in front of one real nats-server with JetStream.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Client } from './gateway.js';
import { connectFor, newFolder, path, serve, startNats, until, withoutNats } from './programs.js';

const folder = newFolder();
// As the controller makes it: gateways that share it honour each other's sessions.
const key = 'apiVersion: v1\nkind: Secret\nmetadata: {name: ledger-session-key}\nstringData: {key: 0123456789abcdef0123456789abcdef}';
let nats;
const gateways = [];
before(async () => {
  if (withoutNats) return;
  nats = await startNats(folder);
  // The first as the file's comment does with `sed`; the second, so that the test need not wait for long.
  let example = readFileSync(path('examples/jetstream-replay.yaml'), 'utf8');
  for (const [text, by] of [['nats://nats:4222', nats.url], ['ackTimeoutSeconds: 10', 'ackTimeoutSeconds: 1']]) {
    assert.ok(example.includes(text), text);
    example = example.replace(text, by);
  }
  for (const _ of [1, 2]) {
    const gateway = await serve(folder, example, key);
    gateways.push(gateway);
    // The first one makes the stream; a gateway looks for it only now and then.
    await until('it knows of the stream', () => servesHistory(gateway));
  }
});
after(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop('SIGINT')));
  await nats?.stop();
  folder.remove();
});

const scenario = (sentence, body) => test(sentence, { skip: withoutNats }, body);

const open = (gateway) => Client.open(`${gateway.url}/ws`);
const servesHistory = async (gateway) => {
  const client = await open(gateway);
  client.send({ type: 'subscribe', topic: 'prices.none' });
  const known = await client.expect('subscribed').then(() => true, () => false);
  client.socket.close();
  return known;
};
const publish = async (gateway, topic, ...payloads) => {
  const client = await open(gateway);
  for (const payload of payloads) {
    client.send({ type: 'publish', topic, messageId: `${topic} ${payload}`, payload });
    assert.equal((await client.expect('ack')).status, 'ok');
  }
  client.socket.close();
};
// The data of so many messages, whose numbers meet.
const messages = async (client, count, last) => {
  const got = [];
  for (let n = 0; n < count; n += 1) {
    const { data, seqNo, prevSeqNo } = await client.expect('message');
    if (last !== undefined) assert.equal(prevSeqNo, last, 'the one before it');
    last = seqNo;
    got.push(data);
  }
  return { got, last };
};

scenario('who comes later reads the newest, or everything, or a part', async () => {
  await publish(gateways[0], 'prices.btc', 1, 2, 3, 4, 5);
  const client = await open(gateways[1]);
  client.send({ type: 'subscribe', topic: 'prices.btc', last: 3 });
  assert.equal((await client.expect('subscribed')).recoverable, true);
  assert.deepEqual((await messages(client, 3)).got, [3, 4, 5]);
  const other = await open(gateways[0]);
  other.send({ type: 'subscribe', topic: 'prices.btc', fromSeq: 1 });
  assert.equal((await other.expect('subscribed')).recovered, true);
  const first = await messages(other, 5, 0);
  assert.deepEqual(first.got, [1, 2, 3, 4, 5]);
  other.send({ type: 'replay', topic: 'prices.btc', fromSeq: first.last - 1, toSeq: first.last, id: 'again' });
  assert.deepEqual((await messages(other, 2)).got, [4, 5]);
  const { id, complete } = await other.expect('replayed');
  assert.deepEqual([id, complete], ['again', true]);
});

scenario('a client that was away goes on at the other gateway, and nothing is missing', async () => {
  const before = await open(gateways[0]);
  before.send({ type: 'setup', topics: ['prices.eth'] });
  const { sessionId } = await before.expect('ready');
  await before.expect('subscribed');
  await publish(gateways[1], 'prices.eth', 1, 2);
  const { got, last } = await messages(before, 2);
  assert.deepEqual(got, [1, 2]);
  before.socket.terminate();
  await publish(gateways[0], 'prices.eth', 3, 4);
  const back = await open(gateways[1]);
  back.send({ type: 'resume', sessionId, lastSeqPerTopic: { 'prices.eth': last } });
  assert.equal((await back.expect('ready')).resumed, true);
  assert.equal((await back.expect('subscribed')).recovered, true);
  assert.deepEqual((await messages(back, 2, last)).got, [3, 4]);
});

scenario('a publish that is repeated at the other gateway counts once', async () => {
  const statuses = [];
  for (const gateway of gateways) {
    const client = await open(gateway);
    client.send({ type: 'publish', topic: 'prices.sol', messageId: 'once', payload: 1 });
    statuses.push((await client.expect('ack')).status);
    client.socket.close();
  }
  assert.deepEqual(statuses, ['ok', 'duplicate']);
});

scenario('an order is sent again until the client has acknowledged it', async (t) => {
  const client = await open(gateways[0]);
  client.send({ type: 'subscribe', topic: 'orders.eu' });
  await client.expect('subscribed');
  await publish(gateways[1], 'orders.eu', 1);
  const [first, again] = [await client.expect('message'), await client.expect('message')];
  assert.deepEqual(again, first);
  client.send({ type: 'ack', topic: 'orders.eu', seqNo: again.seqNo });

  const acknowledging = connectFor(t, gateways[0]);
  const got = [];
  const orders = acknowledging.subscribe('orders.eu', ({ data }) => got.push(data), { fromSeq: 1, autoAck: true });
  await until('the history', () => got.length === 1);
  await publish(gateways[1], 'orders.eu', 2);
  assert.equal((await client.expect('message')).data, 2, 'and not the one before it');
  await until('the new one', () => got.length === 2);
  assert.deepEqual([got, orders.doubles], [[1, 2], 0]);
});
