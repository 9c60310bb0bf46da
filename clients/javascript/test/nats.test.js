// The client and the real gateway over a real NATS server without streams: nothing can be sent again, all is told.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { numbers, open, startGateway, startNats, startRelay, until, withoutNats } from './gateway.js';

const resource = ({ port }) => `
apiVersion: topicgateway.io/v1alpha1
kind: TopicGateway
metadata: {name: client}
spec:
  backbone:
    nats: {servers: ["nats://127.0.0.1:${port}"], subjects: [">"]}
  authentication: {anonymous: Allow}
  authorization: [{users: ["*"], subscribe: [">"], publish: [">"]}]
  limits: {publishPerSecond: 0}
`;

let nats;
let gateway;
let relay;
before(async () => {
  if (withoutNats) return;
  nats = await startNats();
  gateway = await startGateway({ text: resource(nats) });
  relay = await startRelay(gateway);
});
after(async () => {
  await relay?.stop();
  await gateway?.stop('SIGKILL');
  await nats?.stop();
});

const scenario = (sentence, body) => test(sentence, { skip: withoutNats }, body);

scenario('messages come in order; a lost connection is told as a gap and live goes on', async (t) => {
  const publisher = open(t, gateway.url);
  const reader = open(t, relay.url);
  const got = [];
  const { recoverable } = await reader.subscribe('core', ({ data }) => got.push(data)).ready;
  assert.equal(recoverable, false);
  for (const n of numbers(1, 20)) await publisher.publish('core', n);
  await until(() => got.length >= 20, 'the first messages');
  relay.cut();
  await until(() => reader.seen.gaps.length > 0, 'the gap');
  for (const n of numbers(21, 40)) await publisher.publish('core', n);
  await until(() => got.length >= 40, 'all messages');
  assert.deepEqual(got, numbers(1, 40));
  assert.deepEqual(reader.seen.gaps, [{ topic: 'core', reason: 'disconnected' }]);
});

scenario('`fromSeq` where there is no history is refused with what to do', async (t) => {
  const client = open(t, gateway.url);
  await assert.rejects(client.subscribe('core.none', () => {}, { fromSeq: 1 }).ready, { code: 'HISTORY_UNAVAILABLE', topic: 'core.none' });
  await assert.rejects(client.replay('core.none', { fromSeq: 1 }), { code: 'HISTORY_UNAVAILABLE' });
});

scenario('what is published while NATS is away is published when it is back, and the reader is told of a gap', async (t) => {
  const client = open(t, gateway.url);
  const got = [];
  await client.subscribe('core.away', ({ data }) => got.push(data)).ready;
  assert.equal((await client.publish('core.away', 1)).status, 'ok');
  await nats.stop('SIGKILL');
  const published = client.publish('core.away', 2);
  nats = await startNats(nats.port);
  assert.equal((await published).status, 'ok');
  assert.equal((await client.publish('core.away', 3)).status, 'ok');
  await until(() => got.includes(3), 'the message after it');
  assert.deepEqual(client.seen.gaps, [{ topic: 'core.away', reason: 'backbone' }]);
  assert.deepEqual(client.seen.errors, []);
});
