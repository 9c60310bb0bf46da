// An address that names a topic (`/ws/sub/{topic}`): the gateway subscribes to it by itself, from now on.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { topicOf } from '../src/topic.js';
import { Bench, message } from './fake.js';

const url = 'ws://gateway/ws/sub/a';
const subscribed = (seqNo) => ({ type: 'subscribed', topic: 'a', seqNo, recoverable: true });
const replayed = ({ id, fromSeq, toSeq }) => ({ type: 'replayed', id, topic: 'a', fromSeq, toSeq, complete: true });

for (const [address, topic] of [
  ['ws://gateway/ws', undefined],
  ['ws://gateway/ws/sub/prices.btc', 'prices.btc'],
  ['wss://gateway/behind/ws/sub/prices.btc?access_token=x', 'prices.btc'],
  ['ws://gateway/ws/sub/a%3Ab%2Fc', 'a:b/c'],
  ['ws://gateway/ws/sub/prices.%3E', 'prices.>'],
  ['ws://gateway/ws/sub/%zz', undefined],
  ['ws://gateway/ws/sub/', undefined],
]) {
  test(`${address} names ${topic ?? 'no topic'}`, () => assert.equal(topicOf(address), topic));
}

test('the topic of the address needs no command; others do', async (t) => {
  const bench = new Bench(t, { url });
  const subscription = bench.client.subscribe('a', ({ seqNo }) => bench.received.push(seqNo));
  bench.client.subscribe('b', () => {});
  await bench.ready();
  assert.deepEqual(bench.socket.sent.map(({ type, topic }) => [type, topic]), [['subscribe', 'b']]);
  await bench.say(subscribed(4), message(5));
  assert.equal((await subscription.ready).seqNo, 4);
  assert.deepEqual(bench.received, [5]);
});

for (const known of ['before', 'after']) {
  test(`what was missed is replayed on the next connection, where the topic begins ${known} \`ready\``, async (t) => {
    const bench = new Bench(t, { url });
    bench.client.subscribe('a', ({ seqNo }) => bench.received.push(seqNo));
    await bench.ready();
    await bench.say(subscribed(0), message(1), message(2));
    await bench.reconnect();
    if (known === 'before') {
      await bench.say(subscribed(4), message(5));
      await bench.ready();
    } else {
      await bench.ready();
      await bench.say(subscribed(4), message(5));
    }
    const replay = bench.socket.take('replay');
    assert.deepEqual([replay.topic, replay.fromSeq, replay.toSeq], ['a', 3, 4]);
    await bench.say(message(3), message(4), replayed(replay), message(6));
    assert.deepEqual([bench.received, bench.gaps, bench.socket.sent], [[1, 2, 3, 4, 5, 6], [], []]);
  });
}

test('what could not be processed comes to its handler again, and what was processed does not', async (t) => {
  const bench = new Bench(t, { url });
  let broken = true;
  const handler = ({ seqNo }) => {
    if (seqNo === 2 && broken) throw new Error('broken');
    bench.received.push(seqNo);
  };
  bench.client.subscribe('a', handler, { autoAck: true });
  await bench.ready();
  await bench.say(subscribed(0), message(1), message(2), message(3));
  broken = false;
  await bench.reconnect();
  await bench.ready();
  await bench.say(subscribed(4));
  const again = bench.socket.take('replay');
  assert.deepEqual([again.fromSeq, again.toSeq], [2, 3]);
  await bench.say(message(2), message(3), replayed(again));
  const missed = bench.socket.take('replay');
  assert.deepEqual([missed.fromSeq, missed.toSeq], [4, 4]);
  await bench.say(message(4), replayed(missed));
  assert.deepEqual([bench.received, bench.gaps], [[1, 3, 2, 4], []]);
});

test('a topic of the address that is refused ends its subscription with what to do', async (t) => {
  const bench = new Bench(t, { url });
  const subscription = bench.client.subscribe('a', () => {});
  await bench.ready();
  await bench.say({ type: 'error', code: 'ACL_DENIED', message: 'not here', topic: 'a', retryable: false });
  await assert.rejects(subscription.ready, { code: 'ACL_DENIED', message: /ask for a rule/ });
  assert.equal(bench.client.state, 'open');
});

test('what was before cannot be had by the address: refused with what to do', async (t) => {
  const { client } = new Bench(t, { url });
  for (const options of [{ last: 3 }, { fromSeq: 1 }]) {
    assert.throws(() => client.subscribe('a', () => {}, options), { code: 'USAGE', message: /connect to \/ws/ });
  }
});

test('a wrong address is told once, and nothing comes of it later', async (t) => {
  const bench = new Bench(t, {
    WebSocket: class {
      constructor() {
        throw new SyntaxError('no address');
      }
    },
  });
  await assert.rejects(bench.client.ready(), { code: 'USAGE', message: /give one like/ });
  await bench.pass(100_000);
  assert.equal(bench.errors.length, 1);
});
