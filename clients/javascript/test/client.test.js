// The client's behaviour against a gateway of the test's own, in time of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Bench, message, settle } from './fake.js';

test('it begins with setup and the token and is ready with the answer', async (t) => {
  const bench = new Bench(t, { token: 'secret' });
  const ready = bench.client.ready();
  const { token } = await bench.ready();
  await ready;
  assert.deepEqual([token, bench.client.state, bench.client.userId], ['secret', 'open', 'ann']);
});

test('a subscription before the connection is made as soon as it is there', async (t) => {
  const bench = new Bench(t);
  bench.client.subscribe('a', () => {}, { last: 3 });
  await bench.ready();
  const { topic, last } = bench.socket.take('subscribe');
  assert.deepEqual([topic, last], ['a', 3]);
});

test('messages before `subscribed` belong to an earlier subscription', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const subscription = bench.client.subscribe('a', ({ seqNo }) => bench.received.push(seqNo));
  await bench.say(message(1));
  const { id } = bench.socket.take('subscribe');
  await bench.say({ type: 'subscribed', id, topic: 'a', seqNo: 1, recoverable: true }, message(2));
  assert.deepEqual(bench.received, [2]);
  assert.deepEqual(await subscription.ready, { seqNo: 1, recoverable: true, recovered: undefined });
});

test('handlers get one message after the other', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const resolves = [];
  await bench.subscribed('a', { handler: ({ seqNo }) => new Promise((resolve) => resolves.push([seqNo, resolve])) });
  await bench.say(message(1), message(2));
  assert.deepEqual(resolves.map(([seqNo]) => seqNo), [1]);
  resolves[0][1]();
  await settle();
  assert.deepEqual(resolves.map(([seqNo]) => seqNo), [1, 2]);
});

test('a loop gets the messages, and leaving it unsubscribes', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const subscription = bench.client.subscribe('a');
  const { id } = bench.socket.take('subscribe');
  await bench.say({ type: 'subscribed', id, topic: 'a', seqNo: 0, recoverable: true }, message(1), message(2), message(3));
  for await (const { seqNo } of subscription) {
    bench.received.push(seqNo);
    if (seqNo === 2) break;
  }
  assert.deepEqual(bench.received, [1, 2]);
  assert.equal(bench.socket.take('unsubscribe').topic, 'a');
  assert.equal(await subscription.closed, undefined);
});

test('a hole is closed by one replay, which the application does not see', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed();
  await bench.say(message(1), message(4));
  const { id, topic, fromSeq, toSeq } = bench.socket.take('replay');
  assert.deepEqual([topic, fromSeq, toSeq], ['a', 2, 3]);
  await bench.say(message(5), message(2), message(3), { type: 'replayed', id, topic, fromSeq, toSeq, complete: true });
  assert.deepEqual(bench.received, [1, 2, 3, 4, 5]);
  assert.deepEqual([bench.gaps, bench.socket.sent], [[], []]);
});

test('a gap is told in its place: to the subscription and to the client', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('a', { options: { onGap: (gap) => bench.received.push(gap.reason) } });
  await bench.say(message(1), { type: 'gap', topic: 'a', fromSeq: 2, toSeq: 8, reason: 'dropped' }, message(9));
  assert.deepEqual(bench.received, [1, 'dropped', 9]);
  assert.deepEqual(bench.gaps, [{ topic: 'a', fromSeq: 2, toSeq: 8, reason: 'dropped' }]);
});

test('a refused replay of a hole is tried again, then told as a gap', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed();
  await bench.say(message(3));
  for (let n = 0; n < 5; n += 1) {
    const { id } = bench.socket.take('replay');
    await bench.say({ type: 'error', id, code: 'BACKBONE_UNAVAILABLE', message: 'not now', topic: 'a', retryable: true });
    await bench.pass(30_000);
    await bench.say({ type: 'pong' });
  }
  assert.deepEqual(bench.gaps, [{ topic: 'a', fromSeq: 1, toSeq: 2, reason: 'backbone' }]);
  assert.deepEqual(bench.received, [3]);
});

for (const code of [1000, 1001, 1006, 1011, 1012, 4408, 4409]) {
  test(`after a close with ${code} it resumes soon, from the position of each topic`, async (t) => {
    const bench = new Bench(t);
    await bench.ready();
    await bench.subscribed('a');
    await bench.subscribed('b', { seqNo: 70 });
    await bench.say(message(1), message(2));
    bench.socket.drop(code);
    assert.equal(bench.client.state, 'waiting');
    assert.equal(bench.states.at(-1).retryInMs, 250);
    await bench.pass(250);
    const { sessionId, lastSeqPerTopic } = await bench.ready();
    assert.deepEqual([sessionId, lastSeqPerTopic], ['s1', { a: 2, b: 70 }]);
    await bench.say({ type: 'subscribed', topic: 'a', seqNo: 2, recoverable: true, recovered: true }, message(2), message(3));
    assert.deepEqual(bench.received, [1, 2, 3]);
    assert.deepEqual([bench.gaps, bench.socket.sent], [[], []]);
  });
}

test('each failed attempt doubles what the wait is drawn from, up to a bound; a stable connection begins anew', async (t) => {
  const bench = new Bench(t);
  await settle();
  const waits = [];
  for (let n = 0; n < 9; n += 1) {
    bench.socket.drop();
    waits.push(bench.states.at(-1).retryInMs);
    await bench.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  await bench.ready();
  bench.socket.drop();
  assert.equal(bench.states.at(-1).retryInMs, 1000);
  await bench.pass(1000);
  await bench.ready();
  await bench.pass(10_000);
  bench.socket.drop();
  assert.equal(bench.states.at(-1).retryInMs, 250);
});

test('a gateway that closes for speed is left alone for longer', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  bench.socket.drop(4429, 'too fast');
  assert.equal(bench.states.at(-1).retryInMs, 4000);
});

test('`draining` is obeyed: it stays until then and comes back at once', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed();
  await bench.say({ type: 'draining', reconnectAfterMs: 3000 });
  await bench.say(message(1));
  await bench.pass(2999);
  assert.deepEqual([bench.client.state, bench.sockets.length], ['open', 1]);
  await bench.pass(1);
  await bench.pass(1);
  assert.equal(bench.sockets.length, 2);
  assert.deepEqual((await bench.ready()).lastSeqPerTopic, { a: 1 });
});

test('a draining gateway that closes earlier is not come back to before its time', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.say({ type: 'draining', reconnectAfterMs: 3000 });
  bench.socket.drop(1012, 'drain');
  const { retryInMs } = bench.states.at(-1);
  assert.ok(retryInMs > 2500 && retryInMs <= 3000, `${retryInMs}`);
});

test('an expired session is replaced, and topics go on from their position', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed();
  await bench.say(message(1), message(2));
  await bench.reconnect();
  const { id } = bench.socket.take('resume');
  await bench.say({ type: 'error', id, code: 'SESSION_EXPIRED', message: 'too old', retryable: false });
  const setup = bench.socket.take('setup');
  await bench.say({ type: 'ready', id: setup.id, sessionId: 's2', userId: 'ann', heartbeatSeconds: 25, resumed: false });
  const subscribe = bench.socket.take('subscribe');
  assert.equal(subscribe.fromSeq, 3);
  await bench.say({ type: 'subscribed', id: subscribe.id, topic: 'a', seqNo: 2, recoverable: true, recovered: true }, message(3));
  assert.deepEqual([bench.received, bench.gaps], [[1, 2, 3], []]);
});

test('a position that the gateway puts back is followed and told', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('a', { seqNo: 500 });
  await bench.say(message(501));
  await bench.reconnect();
  await bench.ready();
  await bench.say({ type: 'subscribed', topic: 'a', seqNo: 3, recoverable: true, recovered: false }, { type: 'gap', topic: 'a', reason: 'expired' }, message(4));
  assert.deepEqual([bench.received, bench.gaps], [[501, 4], [{ topic: 'a', reason: 'expired' }]]);
});

test('patterns and topics without history are subscribed to again, and the loss is told', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('p.*', { recoverable: false });
  await bench.subscribed('core', { recoverable: false });
  await bench.subscribed('a', { seqNo: 1 });
  await bench.reconnect();
  const { lastSeqPerTopic } = await bench.ready();
  assert.deepEqual(lastSeqPerTopic, { a: 1 });
  for (const topic of ['p.*', 'core']) {
    const subscribe = bench.socket.take('subscribe');
    assert.deepEqual([subscribe.topic, subscribe.fromSeq], [topic, undefined]);
    await bench.say({ type: 'subscribed', id: subscribe.id, topic, seqNo: 0, recoverable: false });
  }
  assert.deepEqual(bench.gaps, [{ topic: 'p.*', reason: 'disconnected' }, { topic: 'core', reason: 'disconnected' }]);
});

test('a message goes to its topic and to every pattern that means it', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const got = [];
  for (const topic of ['p.x', 'p.*', '>', 'q.*']) await bench.subscribed(topic, { handler: () => got.push(topic), recoverable: topic === 'p.x' });
  await bench.say(message(1, 0, 'p.x'));
  assert.deepEqual(got, ['p.x', 'p.*', '>']);
});

test('a topic that lost its history goes on without', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('a', { options: { fromSeq: 1 } });
  await bench.say(message(1));
  await bench.reconnect();
  const { id } = bench.socket.take('resume');
  await bench.say({ type: 'error', id, code: 'SESSION_EXPIRED', message: 'x', retryable: false });
  await bench.say({ type: 'ready', id: bench.socket.take('setup').id, sessionId: 's2', heartbeatSeconds: 25, resumed: false });
  const first = bench.socket.take('subscribe');
  await bench.say({ type: 'error', id: first.id, code: 'HISTORY_UNAVAILABLE', message: 'no history', topic: 'a', retryable: false });
  const second = bench.socket.take('subscribe');
  assert.equal(second.fromSeq, undefined);
  await bench.say({ type: 'subscribed', id: second.id, topic: 'a', seqNo: 0, recoverable: false }, message(9));
  assert.deepEqual([bench.received, bench.gaps], [[1, 9], [{ topic: 'a', reason: 'disconnected' }]]);
});

test('a publish is sent again with the same id until it is answered', async (t) => {
  const bench = new Bench(t);
  const acked = bench.client.publish('a', { price: 1 });
  await bench.ready();
  const first = bench.socket.take('publish');
  assert.match(first.messageId, /^[0-9a-f]{32}$/);
  await bench.say({ type: 'error', id: first.id, code: 'BACKBONE_UNAVAILABLE', message: 'not now', topic: 'a', retryable: true });
  await bench.pass(250);
  const second = bench.socket.take('publish');
  await bench.reconnect();
  await bench.ready();
  const third = bench.socket.take('publish');
  assert.deepEqual([second.messageId, third.messageId], [first.messageId, first.messageId]);
  await bench.say({ type: 'ack', id: third.id, messageId: first.messageId, status: 'duplicate', seqNo: 7 });
  assert.deepEqual(await acked, { messageId: first.messageId, status: 'duplicate', seqNo: 7 });
});

test('a publish that is refused for good is rejected with code and next action', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const refused = assert.rejects(bench.client.publish('a', 1), { name: 'GatewayError', code: 'ACL_DENIED', topic: 'a', message: /^a: not here \(ACL_DENIED\): ask for a rule/ });
  await settle();
  await bench.say({ type: 'error', id: bench.socket.take('publish').id, code: 'ACL_DENIED', message: 'not here', topic: 'a', retryable: false });
  await refused;
});

test('a publish can be given up', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const controller = new AbortController();
  const given = assert.rejects(bench.client.publish('a', 1, { signal: controller.signal }), { name: 'AbortError' });
  controller.abort();
  await given;
  await bench.reconnect();
  await bench.ready();
  assert.deepEqual(bench.socket.sent, []);
});

test('publishes without an ack are bounded', async (t) => {
  const bench = new Bench(t);
  for (let n = 0; n < 1000; n += 1) bench.client.publish('a', n).catch(() => {});
  await assert.rejects(bench.client.publish('a', 1000), { code: 'BUSY', message: /wait for some before you publish more/ });
});

test('the size of publishes without an ack is bounded', async (t) => {
  const bench = new Bench(t);
  bench.client.publish('a', 'x'.repeat(8 * 1024 * 1024 - 200)).catch(() => {});
  await assert.rejects(bench.client.publish('a', 'x'.repeat(200)), { code: 'BUSY' });
});

test('after a close for size the largest publish is given up, and the others go on', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const small = bench.client.publish('a', 1);
  const large = assert.rejects(bench.client.publish('a', 'x'.repeat(5000)), { code: 'LIMIT_EXCEEDED' });
  await settle();
  await bench.reconnect(1009);
  await large;
  await bench.ready();
  const { id, messageId } = bench.socket.take('publish');
  await bench.say({ type: 'ack', id, messageId, status: 'ok', seqNo: 1 });
  assert.equal((await small).status, 'ok');
  assert.deepEqual(bench.socket.sent, []);
});

test('a replay collects its messages and gives the answer; the subscription sees none twice', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed();
  await bench.say(message(1), message(2), message(3));
  const replay = bench.client.replay('a', { fromSeq: 2, toSeq: 3 });
  await settle();
  const { id } = bench.socket.take('replay');
  await bench.say(message(2), message(3), { type: 'replayed', id, topic: 'a', fromSeq: 2, toSeq: 3, complete: true });
  const { messages, complete, toSeq } = await replay;
  assert.deepEqual([messages.map(({ seqNo }) => seqNo), complete, toSeq], [[2, 3], true, 3]);
  assert.deepEqual(bench.received, [1, 2, 3]);
});

test('a replay goes on after the loss of the connection where it was', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const got = [];
  const replay = bench.client.replay('a', { fromSeq: 1, toSeq: 4 }, ({ seqNo }) => got.push(seqNo));
  await settle();
  bench.socket.take('replay');
  await bench.say(message(1), message(2));
  await bench.reconnect();
  await bench.ready();
  const { id, fromSeq } = bench.socket.take('replay');
  assert.equal(fromSeq, 3);
  await bench.say(message(3), message(4), { type: 'replayed', id, topic: 'a', fromSeq, toSeq: 4, complete: true });
  assert.deepEqual([got, (await replay).fromSeq], [[1, 2, 3, 4], 1]);
});

test('what is live meanwhile is no part of a replay', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('a', { seqNo: 7 });
  const replay = bench.client.replay('a', { fromSeq: 1 });
  await settle();
  const { id } = bench.socket.take('replay');
  await bench.say(message(8), { type: 'gap', topic: 'a', fromSeq: 1, toSeq: 5, reason: 'expired' }, message(6), message(7));
  await bench.say({ type: 'replayed', id, topic: 'a', fromSeq: 1, toSeq: 7, complete: false });
  const { messages, complete, gaps } = await replay;
  assert.deepEqual([messages.map(({ seqNo }) => seqNo), complete, gaps.length], [[6, 7], false, 1]);
  assert.deepEqual([bench.received, bench.gaps], [[8], []]);
});

test('replays of one topic wait for one another, those of others do not', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  for (const [topic, fromSeq] of [['a', 1], ['a', 2], ['b', 3]]) bench.client.replay(topic, { fromSeq }).catch(() => {});
  await settle();
  const first = bench.socket.take('replay');
  assert.equal(bench.socket.take('replay').topic, 'b');
  assert.deepEqual(bench.socket.sent, []);
  await bench.say({ type: 'replayed', id: first.id, topic: 'a', fromSeq: 1, toSeq: 1, complete: true });
  assert.equal(bench.socket.take('replay').fromSeq, 2);
});

test('a slow application is waited for: what found no room is read again, in order', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const got = [];
  let go;
  const started = new Promise((resolve) => (go = resolve));
  await bench.subscribed('a', { handler: async ({ seqNo }) => (await started, got.push(seqNo)) });
  for (let n = 1; n <= 5000; n += 1) bench.socket.say(message(n));
  await settle();
  assert.deepEqual(bench.socket.sent, []);
  go();
  for (let turn = 0; turn < 50 && got.length < 5000; turn += 1) {
    await settle();
    const replay = bench.socket.sent.shift();
    if (!replay) continue;
    assert.ok(replay.toSeq - replay.fromSeq < 1000);
    for (let n = replay.fromSeq; n <= replay.toSeq; n += 1) bench.socket.say(message(n));
    await bench.say({ type: 'replayed', id: replay.id, topic: 'a', fromSeq: replay.fromSeq, toSeq: replay.toSeq, complete: true });
  }
  assert.deepEqual(got, Array.from({ length: 5000 }, (_, n) => n + 1));
  assert.deepEqual(bench.gaps, []);
});

test('processed messages are acknowledged together', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('a', { options: { autoAck: true } });
  await bench.say(message(1), message(2), message(3));
  assert.deepEqual(bench.socket.sent, []);
  await bench.pass(100);
  assert.deepEqual(bench.socket.sent, [{ type: 'ack', topic: 'a', seqNo: 3 }]);
});

test('a message whose handler failed is not acknowledged, and handled again when it comes again', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  let broken = true;
  const handler = ({ seqNo }) => {
    if (seqNo === 2 && broken) throw new Error('broken');
    bench.received.push(seqNo);
  };
  await bench.subscribed('a', { handler, options: { autoAck: true } });
  await bench.say(message(1), message(2), message(3));
  await bench.pass(100);
  assert.deepEqual(bench.socket.sent, [{ type: 'ack', topic: 'a', seqNo: 1 }, { type: 'ack', topic: 'a', messageId: 'm3' }]);
  assert.match(bench.errors[0].message, /the handler failed/);
  broken = false;
  bench.socket.sent.length = 0;
  await bench.say(message(2));
  await bench.pass(100);
  assert.deepEqual([bench.received, bench.socket.sent], [[1, 3, 2], [{ type: 'ack', topic: 'a', seqNo: 2 }]]);
});

test('a message without an id is not acknowledged behind one whose handler failed', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const handler = ({ seqNo }) => {
    if (seqNo === 1) throw new Error('broken');
  };
  await bench.subscribed('a', { handler, options: { autoAck: true } });
  await bench.say(message(1), { ...message(2), messageId: undefined });
  await bench.pass(100);
  assert.deepEqual(bench.socket.sent, []);
});

for (const kept of [true, false]) {
  test(`a message whose handler failed is asked for again on the next connection, where it is ${kept ? 'kept' : 'gone'}`, async (t) => {
    const bench = new Bench(t);
    await bench.ready();
    let broken = true;
    const handler = ({ seqNo }) => {
      if (seqNo === 2 && broken) throw new Error('broken');
      bench.received.push(seqNo);
    };
    await bench.subscribed('a', { handler, options: { autoAck: true } });
    await bench.say(message(1), message(2), message(3));
    broken = false;
    await bench.reconnect();
    assert.deepEqual((await bench.ready()).lastSeqPerTopic, { a: 1 });
    const second = kept ? message(2) : { type: 'gap', topic: 'a', fromSeq: 2, toSeq: 2, reason: 'expired' };
    await bench.say({ type: 'subscribed', topic: 'a', seqNo: 1, recoverable: true, recovered: kept }, second, message(3), message(4));
    assert.deepEqual([bench.received, bench.gaps.length], kept ? [[1, 3, 2, 4], 0] : [[1, 3, 4], 1]);
    await bench.reconnect();
    assert.deepEqual((await bench.ready()).lastSeqPerTopic, { a: 4 });
  });
}

test('a processed message that comes again is acknowledged again and not handled again', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.subscribed('a', { options: { autoAck: true } });
  await bench.say(message(1), message(2));
  await bench.pass(100);
  bench.socket.sent.length = 0;
  await bench.say(message(1));
  await bench.pass(100);
  assert.deepEqual([bench.received, bench.socket.sent], [[1, 2], [{ type: 'ack', topic: 'a', seqNo: 2 }]]);
});

test('an application may acknowledge by itself', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const subscription = await bench.subscribed('a', { handler: (received) => bench.received.push(received) });
  await bench.say(message(1), message(2));
  subscription.ack(bench.received[1]);
  await bench.pass(100);
  assert.deepEqual(bench.socket.sent, [{ type: 'ack', topic: 'a', seqNo: 2 }]);
});

test('a token is replaced before it expires, on the same connection', async (t) => {
  let made = 0;
  const bench = new Bench(t, { token: async () => `token ${(made += 1)}` });
  assert.equal((await bench.ready({ expiresAt: 100 })).token, 'token 1');
  for (let n = 0; n < 8; n += 1) await bench.pass(10_000), await bench.say({ type: 'pong' });
  const { token, id } = bench.socket.take('setup');
  assert.equal(token, 'token 2');
  await bench.say({ type: 'ready', id, sessionId: 's2', userId: 'ann', heartbeatSeconds: 25, resumed: false, expiresAt: 200 });
  assert.deepEqual([bench.sockets.length, bench.client.state], [1, 'open']);
});

test('a token that the gateway refuses is replaced once, then the client ends', async (t) => {
  let made = 0;
  const bench = new Bench(t, { token: () => `token ${(made += 1)}` });
  const ended = assert.rejects(bench.client.ready(), { code: 'AUTH_FAILED' });
  await settle();
  for (let n = 0; n < 2; n += 1) {
    bench.socket.open();
    await bench.say({ type: 'error', id: bench.socket.take('setup').id, code: 'AUTH_FAILED', message: 'expired', retryable: false });
    await bench.pass(30_000);
  }
  await ended;
  assert.deepEqual([made, bench.client.state, bench.errors.length], [2, 'closed', 1]);
});

test('a token function that fails is asked again later', async (t) => {
  let calls = 0;
  const bench = new Bench(t, {
    token: async () => {
      if ((calls += 1) === 1) throw new Error('no network');
      return 'fresh';
    },
  });
  await settle();
  assert.equal(bench.errors[0].cause.message, 'no network');
  await bench.pass(250);
  assert.equal((await bench.ready()).token, 'fresh');
});

for (const [code, options, state] of [
  [4403, {}, 'closed'],
  [4401, {}, 'closed'],
  [4401, { token: 'fixed' }, 'closed'],
  [4401, { token: () => 'fresh' }, 'waiting'],
  [1013, {}, 'waiting'],
]) {
  test(`a close with ${code} and the token ${options.token ?? 'left out'} leaves it ${state}`, async (t) => {
    const bench = new Bench(t, options);
    await bench.ready();
    const subscription = await bench.subscribed();
    bench.socket.drop(code, 'because');
    assert.equal(bench.client.state, state);
    if (state === 'closed') assert.match((await subscription.closed).message, /because/);
  });
}

test('a topic that is refused ends its subscription alone', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const subscription = bench.client.subscribe('secret');
  await bench.say({ type: 'error', id: bench.socket.take('subscribe').id, code: 'ACL_DENIED', message: 'no', topic: 'secret', retryable: false });
  await assert.rejects(subscription.ready, { code: 'ACL_DENIED', topic: 'secret' });
  await assert.rejects(async () => { for await (const _ of subscription); }, { code: 'ACL_DENIED' });
  assert.deepEqual([bench.client.state, bench.socket.sent], ['open', []]);
});

test('a right that ends later ends the subscription after what was received', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const subscription = await bench.subscribed();
  await bench.say(message(1), { type: 'error', code: 'ACL_DENIED', message: 'the right has ended', topic: 'a', retryable: false });
  assert.equal((await subscription.closed).code, 'ACL_DENIED');
  assert.deepEqual(bench.received, [1]);
});

test('a topic that cannot be had for now is asked for again', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  bench.client.subscribe('a', () => {});
  await bench.say({ type: 'error', id: bench.socket.take('subscribe').id, code: 'BACKBONE_UNAVAILABLE', message: 'no', topic: 'a', retryable: true });
  assert.deepEqual(bench.socket.sent, []);
  await bench.pass(250);
  assert.equal(bench.socket.take('subscribe').topic, 'a');
});

test('a silent gateway is asked with ping and then left', async (t) => {
  const bench = new Bench(t);
  await bench.ready({ heartbeatSeconds: 5 });
  await bench.say(message(1));
  await bench.pass(5000);
  assert.deepEqual(bench.socket.sent, []);
  await bench.pass(5000);
  bench.socket.take('ping');
  await bench.say({ type: 'pong' });
  await bench.pass(10_000);
  await bench.pass(5000);
  bench.socket.take('ping');
  await bench.pass(10_000);
  assert.equal(bench.client.state, 'waiting');
  assert.match(bench.states.at(-1).reason, /silent/);
});

test('a connection that fails without a close is tried again', async (t) => {
  const bench = new Bench(t);
  await settle();
  bench.socket.onerror();
  await bench.pass(0);
  assert.equal(bench.client.state, 'waiting');
});

test('a gateway that does not answer in time is left', async (t) => {
  const bench = new Bench(t);
  await settle();
  bench.socket.open();
  await bench.pass(10_000);
  assert.equal(bench.client.state, 'waiting');
});

test('what is no frame is the end of a connection, an unknown type is not', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  await bench.say({ type: 'novelty' });
  assert.equal(bench.client.state, 'open');
  await bench.say('no JSON');
  assert.equal(bench.client.state, 'waiting');
});

test('close ends everything', async (t) => {
  const bench = new Bench(t);
  await bench.ready();
  const subscription = await bench.subscribed();
  const loop = (async () => { for await (const _ of bench.client.subscribe('b')); })();
  const publish = assert.rejects(bench.client.publish('a', 1), { code: 'CLOSED' });
  const replay = assert.rejects(bench.client.replay('a', { fromSeq: 1 }), { code: 'CLOSED' });
  await settle();
  const { socket } = bench;
  await bench.client.close();
  await Promise.all([publish, replay, loop]);
  assert.equal(await subscription.closed, undefined);
  assert.deepEqual([bench.client.state, socket.closedWith, bench.errors], ['closed', 1000, []]);
  await bench.client.close();
  await bench.pass(100_000);
  assert.equal(bench.sockets.length, 1);
  assert.throws(() => bench.client.subscribe('c', () => {}), { code: 'CLOSED' });
});

test('close while it waits for the next attempt ends that too', async (t) => {
  const bench = new Bench(t);
  await settle();
  bench.socket.drop();
  await bench.client.close();
  await bench.pass(100_000);
  assert.equal(bench.sockets.length, 1);
});

const wrong = [
  ['a topic twice', (client) => (client.subscribe('a', () => {}), client.subscribe('a', () => {})), /subscribed to it already/],
  ['options in front of the handler', (client) => client.subscribe('a', {}, () => {}), /the handler comes before the options/],
  ['a handler that is none', (client) => client.subscribe('a', 'x'), /must be a function/],
  ['`fromSeq` and `last` together', (client) => client.subscribe('a', () => {}, { fromSeq: 1, last: 1 }), /exclude each other/],
  ['a negative `fromSeq`', (client) => client.subscribe('a', () => {}, { fromSeq: -1 }), /whole number/],
  ['a loop over what a handler takes', (client) => client.subscribe('a', () => {})[Symbol.asyncIterator](), /one handler or one loop/],
  ['a publish without payload', (client) => client.publish('a'), /null for none/],
  ['a replay of a pattern', (client) => client.replay('a.*', { fromSeq: 1 }), /a pattern has no positions/],
  ['a replay that ends before it begins', (client) => client.replay('a', { fromSeq: 5, toSeq: 4 }), /not below the first/],
];
for (const [name, call, expected] of wrong) {
  test(`${name}: refused with what to do`, async (t) => {
    const { client } = new Bench(t);
    await assert.rejects(async () => call(client), { code: 'USAGE', message: expected });
  });
}
