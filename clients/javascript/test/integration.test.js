// The client and the real gateway, with a network between them that can be cut.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { mint, numbers, open as connected, resource, startGateway, startRelay, until, without } from './gateway.js';

let gateway;
let relay;
let token;
before(async () => {
  if (without) return;
  gateway = await startGateway({ file: resource });
  relay = await startRelay(gateway);
  token = await mint('ann');
});
after(async () => {
  await relay?.stop();
  await gateway?.stop('SIGKILL');
});

const scenario = (sentence, body) => test(sentence, { skip: without }, body);

const open = (t, url = gateway.url, options = { token }) => connected(t, url, options);

async function publish(client, topic, from, to) {
  for (const n of numbers(from, to)) await client.publish(topic, n);
}

scenario('a client whose connection is cut again and again misses nothing and gets nothing twice', async (t) => {
  const publisher = open(t);
  const reader = open(t, relay.url);
  const got = [];
  await reader.subscribe('open.cut', ({ data }) => got.push(data)).ready;
  let cuts = 0;
  for (const n of numbers(1, 900)) {
    await publisher.publish('open.cut', n);
    if (n % 90 === 45) {
      relay.cut();
      cuts += 1;
      const resumed = reader.seen.states.filter((state) => state === 'resumed').length;
      // Publishing goes on while it is away: for some cuts the next ones come before it is back.
      if (cuts % 2 === 0) await until(() => reader.seen.states.filter((state) => state === 'resumed').length > resumed, 'resumed');
    }
  }
  await until(() => got.length >= 900, 'all messages');
  assert.deepEqual(got, numbers(1, 900));
  assert.deepEqual([reader.seen.gaps, reader.seen.errors], [[], []]);
  assert.ok(reader.seen.states.includes('resumed'));
});

scenario('a publisher whose connection is cut publishes everything once', async (t) => {
  const publisher = open(t, relay.url);
  const reader = open(t);
  const got = [];
  await reader.subscribe('open.once', ({ data }) => got.push(data)).ready;
  await publisher.ready();
  for (const round of numbers(0, 7)) {
    const acks = numbers(1, 50).map((n) => publisher.publish('open.once', round * 50 + n));
    await Promise.race(acks);
    relay.cut();
    for (const { status } of await Promise.all(acks)) assert.match(status, /^(ok|duplicate)$/);
  }
  await until(() => got.length >= 400, 'all messages');
  assert.deepEqual(got.toSorted((a, b) => a - b), numbers(1, 400));
});

scenario('a reader slower than its topic gets everything in order', async (t) => {
  const publisher = open(t);
  const reader = open(t);
  const got = [];
  let release;
  const released = new Promise((resolve) => (release = resolve));
  // Only what the gateway keeps can be read again: less than a thousand above what waits in the client.
  await reader.subscribe('open.slow', async ({ data }) => (await released, got.push(data))).ready;
  await Promise.all(numbers(1, 900).map((n) => publisher.publish('open.slow', n)));
  await Promise.all(numbers(901, 1700).map((n) => publisher.publish('open.slow', n)));
  release();
  await until(() => got.length >= 1700, 'all messages');
  assert.deepEqual(got, numbers(1, 1700));
  assert.deepEqual(reader.seen.gaps, []);
});

scenario('`fromSeq` and `last` begin in what was before and go on with what is live', async (t) => {
  const client = open(t);
  await publish(client, 'open.before', 1, 20);
  for (const [options, first] of [[{ fromSeq: 1 }, 1], [{ fromSeq: 15 }, 15], [{ fromSeq: 21 }, 21], [{ last: 3 }, 18], [{ last: 100 }, 1], [{}, 21]]) {
    const reader = open(t);
    const got = [];
    const subscription = reader.subscribe('open.before', ({ seqNo }) => got.push(seqNo), options);
    const { seqNo, recoverable } = await subscription.ready;
    assert.deepEqual([seqNo, recoverable], [first - 1, true], JSON.stringify(options));
    // Published for the first reader, kept for the others: the next one begins where this one ends.
    await until(() => got.length === 21 - first, JSON.stringify(options));
    assert.deepEqual(got, numbers(first, 20));
    await reader.close();
  }
});

scenario('history and what is published meanwhile come in one row', async (t) => {
  const publisher = open(t);
  await Promise.all(numbers(1, 500).map((n) => publisher.publish('open.splice', n)));
  const more = numbers(501, 900).map((n) => publisher.publish('open.splice', n));
  const readers = numbers(1, 5).map(() => open(t));
  const rows = await Promise.all(
    readers.map(async (reader) => {
      const row = [];
      for await (const { data } of reader.subscribe('open.splice', { fromSeq: 1 })) if (row.push(data) === 900) break;
      return row;
    }),
  );
  await Promise.all(more);
  for (const row of rows) assert.deepEqual(row, numbers(1, 900));
});

scenario('what is not kept any longer is told as a gap', async (t) => {
  const publisher = open(t);
  await Promise.all(numbers(1, 750).map((n) => publisher.publish('open.old', n)));
  await Promise.all(numbers(751, 1500).map((n) => publisher.publish('open.old', n)));
  const reader = open(t);
  const row = [];
  const subscription = reader.subscribe('open.old', { fromSeq: 1 });
  for await (const { data } of subscription) if (row.push(data) && data === 1500) break;
  const [gap, ...others] = reader.seen.gaps;
  assert.deepEqual([gap.reason, gap.fromSeq, others], ['expired', 1, []]);
  assert.deepEqual(row, numbers(gap.toSeq + 1, 1500));
  assert.equal((await subscription.ready).recovered, false);
});

scenario('a replay gives a part again, with or without a subscription', async (t) => {
  const client = open(t);
  await publish(client, 'open.again', 1, 10);
  const { messages, complete, toSeq } = await client.replay('open.again', { fromSeq: 3, toSeq: 6 });
  assert.deepEqual([messages.map(({ data }) => data), complete, toSeq], [[3, 4, 5, 6], true, 6]);
  const got = [];
  await client.subscribe('open.again', ({ data }) => got.push(data), { last: 2 }).ready;
  const all = await client.replay('open.again', { fromSeq: 1 });
  assert.deepEqual([all.messages.map(({ data }) => data), all.complete], [numbers(1, 10), true]);
  await publish(client, 'open.again', 11, 11);
  await until(() => got.length >= 3, 'live goes on');
  assert.deepEqual(got, [9, 10, 11]);
});

scenario('a message whose handler failed is handled again when the gateway sends it again, one that was processed is not', async (t) => {
  const client = open(t);
  const [tried, saved] = [[], []];
  const save = ({ data }) => {
    tried.push(data);
    if (data === 2 && !saved.includes(3)) throw new Error('not yet');
    saved.push(data);
  };
  await client.subscribe('open.acked.a', save, { autoAck: true }).ready;
  await publish(client, 'open.acked.a', 1, 3);
  await until(() => saved.includes(2), 'the second one again');
  assert.deepEqual([tried, saved], [[1, 2, 3, 2], [1, 3, 2]]);
  // What comes behind it shows that nothing else came again.
  await publish(client, 'open.acked.a', 4, 4);
  await until(() => saved.includes(4), 'the next one');
  assert.deepEqual([saved, client.seen.errors.length], [[1, 3, 2, 4], 1]);
});

scenario('a gateway that is killed and replaced by one that knows nothing is followed, and the loss told', async (t) => {
  const first = await startGateway({ file: resource });
  const own = await startRelay(first);
  const client = open(t, own.url);
  const got = [];
  t.after(() => own.stop());
  await client.subscribe('open.anew', ({ data }) => got.push(data)).ready;
  await publish(client, 'open.anew', 1, 5);
  await until(() => got.length >= 5, 'messages of the first one');
  await first.stop('SIGKILL');
  const second = await startGateway({ file: resource });
  t.after(() => second.stop('SIGKILL'));
  own.target = second;
  // Before the topic is there again, a message of the new one would be part of what the gap speaks of.
  await until(() => client.seen.gaps.length > 0, 'the gap');
  await publish(client, 'open.anew', 6, 8);
  await until(() => got.length >= 8, 'messages of the new one');
  assert.deepEqual(got, numbers(1, 8));
  assert.deepEqual(client.seen.gaps.map(({ topic, reason }) => [topic, reason]), [['open.anew', 'expired']]);
});

scenario('a gateway that goes away is left when it says, without an error', async (t) => {
  const first = await startGateway({ file: resource });
  const own = await startRelay(first);
  const client = open(t, own.url);
  t.after(() => own.stop());
  await client.subscribe('open.leave', () => {}).ready;
  own.target = gateway;
  assert.equal(await first.stop(), 0);
  await client.ready();
  assert.equal((await client.publish('open.leave', 1)).status, 'ok');
  assert.deepEqual(client.seen.errors, []);
});

scenario('a short-lived token is replaced again and again on one connection', async (t) => {
  const tokens = await Promise.all(['10s', '14s', '1h'].map((ttl) => mint('ann', ttl)));
  const accepted = relay.accepted;
  const client = open(t, relay.url, { token: () => tokens.shift() });
  await client.ready();
  await until(() => tokens.length === 0, 'two refreshes');
  assert.equal((await client.publish('open.token', 1)).status, 'ok');
  assert.deepEqual([relay.accepted - accepted, client.seen.errors, client.userId], [1, [], 'ann']);
});

scenario('a topic without right, a topic that is none and a message too large are refused, and the rest goes on', async (t) => {
  const client = open(t);
  await assert.rejects(client.subscribe('secret', () => {}).ready, { code: 'ACL_DENIED', topic: 'secret' });
  await assert.rejects(client.publish('secret', 1), { code: 'ACL_DENIED', topic: 'secret' });
  await assert.rejects(client.subscribe('a..b', () => {}).ready, { code: 'TOPIC_INVALID' });
  await assert.rejects(client.publish('open.large', 'x'.repeat(2049)), { code: 'LIMIT_EXCEEDED' });
  await assert.rejects(client.publish('open.large', 'x'.repeat(200_000)), { code: 'LIMIT_EXCEEDED' });
  assert.equal((await client.publish('open.large', 'x')).status, 'ok');
});

scenario('a client without a valid token ends with what to do', async (t) => {
  for (const [options, code] of [[{}, 'AUTH_REQUIRED'], [{ token: 'nonsense' }, 'AUTH_FAILED']]) {
    const client = open(t, gateway.url, options);
    await assert.rejects(client.ready(), { code, message: /token/ });
    assert.equal(client.state, 'closed');
  }
});

scenario('a pattern gets the messages of its topics with their names', async (t) => {
  const client = open(t);
  const got = [];
  assert.equal((await client.subscribe('open.many.*', ({ topic, data }) => got.push([topic, data])).ready).recoverable, false);
  await client.subscribe('open.many.a', () => {}).ready;
  await client.publish('open.many.a', 1);
  await client.publish('open.many.b', 2);
  await until(() => got.length >= 2, 'both');
  assert.deepEqual(got, [['open.many.a', 1], ['open.many.b', 2]]);
  assert.deepEqual(client.seen.gaps, []);
});
