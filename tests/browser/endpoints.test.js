// The playground on its other endpoints, `/ws/sub/{topic}` and `/sse`: the same page, as far as the endpoint goes.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { startRelay } from '../../clients/javascript/test/gateway.js';
import { startGateway } from '../node/gateway.js';
import { run } from '../node/programs.js';
import { address, file, Playground, startBrowser, until } from './page.js';

const ENDPOINTS = {
  '/ws/sub/{topic}': { connected: 'connected as anonymous, 1 connection', opens: (topic) => `/ws/sub/${topic}`, frame: '"type":"publish"' },
  '/sse': { connected: 'connected as anonymous', opens: (topic) => `/sse?topics=${topic}`, frame: 'POST http://' },
};

let browser;
let gateway;
let play;

before(async () => {
  browser = await startBrowser();
  gateway = await startGateway();
});
after(async () => {
  await browser?.close();
  await gateway?.stop();
});
beforeEach(async () => (play = await Playground.open(browser, gateway)));
afterEach(() => play.close());

// What startRelay wants to know of a gateway.
const target = ({ url }) => ({ host: new URL(url).hostname, port: new URL(url).port });

const picked = async (path) => {
  await play.choose(path);
  await play.has('#state', 'no topic yet');
};

for (const [path, { connected, opens, frame }] of Object.entries(ENDPOINTS)) {
  const topic = (name) => `${path === '/sse' ? 'events' : 'one'}.${name}`;

  test(`${path}: it subscribes and publishes, and shows the frames`, async () => {
    await picked(path);
    await play.subscribe(topic('a'));
    await play.has('#state', connected);
    await play.has('#lines li.note', opens(topic('a')));
    await play.publish(topic('a'), '{"bid": 1}');
    await play.has('#published', 'ok, number 1');
    await play.counts(topic('a'), 1);
    assert.equal(await play.cell(topic('a'), 'newest').textContent(), '{"bid":1}');
    await play.has('#lines li.out', frame);
    await play.has('#lines li.in', '"type":"message"');
    await play.has('#lines li.in', '"type":"ack"');
    await until('the charts move', async () => (await play.page.locator('polyline[points]').count()) === 4);
    await play.press(`Leave ${topic('a')}`);
    await play.has('#state', 'no topic yet');
    assert.equal(await play.page.locator('#held tr').count(), 0);
    assert.deepEqual(play.complaints, []);
  });

  test(`${path}: a connection that is dropped goes on and nothing is missing`, async () => {
    await picked(path);
    for (const name of ['b', 'c']) await play.subscribe(topic(name));
    await play.field('publish', 'topic').fill(topic('b'));
    await play.press('Ten a second');
    await play.counts(topic('b'), 5);
    for (let times = 0; times < 3; times += 1) {
      const before = await play.number(topic('b'), 'count');
      await play.press('Drop the connection');
      await play.counts(topic('b'), before + 5);
      await play.has('#state[data-state=open]', '');
    }
    await play.press('Ten a second');
    await until('every message came', async () => (await play.number(topic('b'), 'count')) === (await play.number(topic('b'), 'last')));
    assert.equal(await play.number(topic('b'), 'missing'), 0);
    assert.deepEqual(play.complaints, []);
  });

  test(`${path}: what comes while the network is away comes afterwards`, async (t) => {
    const relay = await startRelay(target(gateway));
    t.after(() => relay.stop());
    await picked(path);
    await play.connect({ url: relay.url });
    await play.subscribe(topic('d'));
    await play.has('#state', 'connected as anonymous');
    const publisher = await Playground.open(browser, gateway);
    t.after(() => publisher.close());
    for (let n = 1; n <= 12; n += 1) {
      await publisher.publish(topic('d'), String(n));
      await publisher.has('#published', `number ${n},`);
      if (n % 4 === 2) relay.cut();
    }
    await play.counts(topic('d'), 12);
    assert.deepEqual([await play.number(topic('d'), 'count'), await play.number(topic('d'), 'missing')], [12, 0]);
    // The browser has resumed the one EventSource by itself; WebSockets are opened anew.
    const opened = await play.page.locator('#lines li.note', { hasText: opens(topic('d')) }).count();
    assert.ok(path === '/sse' ? opened === 1 : opened > 1, `${opened}`);
  });

  test(`${path}: what is wrong is said in words, and mended without a reload`, async () => {
    await picked(path);
    await play.connect({ url: 'ftp://somewhere' });
    await play.has('#problem', 'begin the address with ws, wss, http or https');
    const gone = await startGateway();
    await gone.stop();
    await play.connect({ url: gone.url });
    await play.subscribe(topic('e'));
    await play.has('#problem', `no gateway answers at ${path === '/sse' ? address(gone) : gone.url}`);
    await play.has('#problem', 'again by itself');
    await play.connect({ url: `${address(gateway)}/nowhere` });
    await play.subscribe(topic('e'));
    await play.has('#problem', path === '/sse' ? 'answers with 404, but not as a gateway does' : 'no gateway answers');
    await play.connect({ url: gateway.url, token: 'no.token.really' });
    await play.subscribe(topic('e'));
    await play.has('#problem', 'AUTH_FAILED');
    await play.has('#state', 'ended');
    await play.connect({ token: '' });
    await until('the complaint is gone', () => play.page.locator('#problem').isHidden());
    await play.subscribe(topic('e'));
    await play.has('#state', connected);
    await play.subscribe('not..a.topic');
    await play.has('#problem', 'TOPIC_INVALID');
    assert.equal(await play.page.locator('#held tr').count(), 1);
    await play.publish(topic('e'), JSON.stringify('x'.repeat(70_000)));
    await play.has('#published.bad', 'LIMIT_EXCEEDED');
    await play.publish(topic('e'), '1');
    await play.has('#published', 'ok, number 1');
    await play.counts(topic('e'), 1);
  });

  test(`${path}: a topic that is not allowed is refused with the reason, and the others go on`, async (t) => {
    const strict = await startGateway('-f', file('strict.yaml'));
    await play.close();
    play = await Playground.open(browser, strict);
    t.after(() => strict.stop());
    await picked(path);
    for (const before of [0, 1]) {
      await play.subscribe('secret.a');
      await play.has('#problem', 'ACL_DENIED');
      await until('it is gone', async () => (await play.page.locator('#held tr').count()) === before);
      await play.subscribe('open.a');
      await play.has('#state[data-state=open]', 'as anonymous');
    }
    await play.publish('secret.a', '1');
    await play.has('#published.bad', 'ACL_DENIED');
    await play.publish('open.a', '1');
    await play.counts('open.a', 1);
  });

  test(`${path}: a gateway that goes away is told of, and its successor found`, async (t) => {
    const first = await startGateway();
    const relay = await startRelay(target(first));
    t.after(() => relay.stop());
    await picked(path);
    await play.connect({ url: relay.url });
    await play.subscribe(topic('f'));
    await play.has('#state', 'connected as');
    await first.stop('SIGKILL');
    await play.has('#state[data-state=waiting]', '');
    await play.has('#problem', 'again by itself');
    relay.target = target(gateway);
    await play.has('#state[data-state=open]', '');
    await until('the complaint is gone', () => play.page.locator('#problem').isHidden());
    await play.publish(topic('f'), '1');
    await play.counts(topic('f'), 1);
  });
}

test('/ws/sub/{topic}: each topic has a connection of its own, on which it can be replayed', async () => {
  await picked('/ws/sub/{topic}');
  await play.publish('one.g', '1');
  await play.has('#published.bad', 'subscribe to a topic first');
  await play.subscribe('one.g');
  await play.subscribe('one.h');
  await play.has('#state', 'connected as anonymous, 2 connections');
  await play.publish('one.g', '1');
  await play.counts('one.g', 1);
  await play.field('replay', 'topic').fill('one.g');
  await play.press('Replay');
  await play.has('#replayed', '1 messages, up to number 1; complete');
  assert.ok(await play.field('subscribe', 'from').isDisabled(), 'the address has no place for a beginning');
});

test('/sse: what it cannot do is not offered, and said', async () => {
  await picked('/sse');
  await play.has('.hint:visible', 'nothing can be replayed or acknowledged');
  assert.ok(await play.page.getByRole('button', { name: 'Replay' }).isDisabled());
  assert.ok(await play.field('subscribe', 'from').isDisabled());
  await play.choose('/ws many');
  assert.ok(await play.page.getByRole('button', { name: 'Replay' }).isEnabled());
});

for (const path of Object.keys(ENDPOINTS)) {
  test(`${path}: a token is sent, and not shown`, async (t) => {
    const strict = await startGateway('-f', file('tokens.yaml'));
    t.after(() => strict.stop('SIGKILL'));
    const { stdout } = await run(process.env.TOPIC_GATEWAY, ['token', 'mint', '-f', file('tokens.yaml'), '--user', 'ann']);
    const token = stdout.trim();
    await play.close();
    play = await Playground.open(browser, strict);
    await picked(path);
    await play.subscribe('open.a');
    await play.has('#problem', 'AUTH_REQUIRED');
    await play.connect({ token });
    await play.subscribe('open.a');
    await play.has('#state', 'connected as ann');
    await play.publish('open.a', '1');
    await play.counts('open.a', 1);
    assert.ok(token.length > 50 && !(await play.page.content()).includes(token));
  });
}
