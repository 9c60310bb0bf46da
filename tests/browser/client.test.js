// The JavaScript client by itself in a real Chromium: installed from its package, imported by its name in a page of ours.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { startRelay } from '../../clients/javascript/test/gateway.js';
import { blocks, installPacked } from '../../clients/javascript/test/packed.js';
import { startGateway } from '../node/gateway.js';
import { file, openPage, startBrowser, until } from './page.js';

let browser;
let gateway;
let installed;
let site;
let page;
let relay;

before(async () => {
  browser = await startBrowser();
  gateway = await startGateway('-f', file('short.yaml'));
  installed = await installPacked();
  site = await serve();
});
after(async () => {
  await browser?.close();
  await gateway?.stop('SIGKILL');
  installed?.remove();
  site?.close();
});

// The page of the README, beside what npm has installed.
const serve = async () => {
  const [map] = blocks('html');
  const server = createServer(({ url }, response) => {
    if (!url.startsWith('/node_modules/')) return response.setHeader('content-type', 'text/html').end(`<!doctype html><link rel="icon" href="data:,">${map}`);
    return response.setHeader('content-type', 'text/javascript').end(readFileSync(installed.path(url.slice(1))));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

beforeEach(async () => {
  const { hostname: host, port } = new URL(gateway.url);
  relay = await startRelay({ host, port });
  page = await openPage(browser, `http://127.0.0.1:${site.address().port}/`);
});
afterEach(async () => {
  await page.page.close();
  await relay.stop();
});

// Connects in the page; what comes on the topic is collected there.
const subscribe = (topic, path = '/ws') =>
  page.page.evaluate(
    async ([url, name]) => {
      const { connect } = await import('topic-gateway-client');
      const seen = { got: [], gaps: [], states: [] };
      const client = connect(url);
      client.on('state', ({ state, resumed }) => seen.states.push(resumed ? 'resumed' : state));
      client.on('gap', ({ fromSeq, toSeq, reason }) => seen.gaps.push([reason, fromSeq, toSeq]));
      const subscription = client.subscribe(name, ({ data }) => seen.got.push(data));
      Object.assign(window, { client, seen });
      await subscription.ready;
    },
    [relay.url.replace('/ws', path), topic],
  );

const seen = () => page.page.evaluate(() => window.seen);
const got = (wanted) => until(`${wanted} messages`, async () => (await seen()).got.length >= wanted);

// From another connection, so that it goes on while that of the page is away.
const publish = async (topic, from, to) => {
  for (let n = from; n <= to; n += 1) {
    const answer = await fetch(`${gateway.url.replace(/^ws/, 'http')}/publish/${topic}`, { method: 'POST', body: String(n) });
    assert.equal(answer.status, 200);
  }
};

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

test('a page publishes and receives', async () => {
  await subscribe('client.a');
  const acks = await page.page.evaluate(async () => [
    await window.client.publish('client.a', 1, { messageId: 'one' }),
    await window.client.publish('client.a', 1, { messageId: 'one' }),
  ]);
  assert.deepEqual(acks.map(({ status }) => status), ['ok', 'duplicate']);
  await got(1);
  assert.deepEqual((await seen()).got, [1]);
  assert.deepEqual(page.complaints, []);
});

for (const [topic, path] of [['client.b', '/ws'], ['client.d', '/ws/sub/client.d']]) {
  test(`${path}: a connection that is cut goes on: what was published meanwhile comes, in order and once`, async () => {
    await subscribe(topic, path);
    for (const round of [0, 10, 20]) {
      await publish(topic, round + 1, round + 5);
      relay.cut();
      await publish(topic, round + 6, round + 10);
      await got(round + 10);
    }
    const { got: all, gaps, states } = await seen();
    assert.deepEqual([all, gaps], [numbers(1, 30), []]);
    assert.ok(states.filter((state) => state === (path === '/ws' ? 'resumed' : 'open')).length >= 3, `${states}`);
  });
}

test('what is not kept any longer when it comes back is told as a gap, with its numbers', async () => {
  await subscribe('client.c');
  await publish('client.c', 1, 3);
  await got(3);
  const target = relay.target;
  relay.target = { host: '127.0.0.1', port: 1 };
  relay.cut();
  // The gateway keeps two messages of these topics for those who come back.
  await publish('client.c', 4, 10);
  relay.target = target;
  await until('the last one', async () => (await seen()).got.includes(10));
  const { got: all, gaps } = await seen();
  const [[reason, fromSeq, toSeq]] = gaps;
  assert.deepEqual([reason, fromSeq, gaps.length], ['expired', 4, 1]);
  assert.deepEqual(all, [1, 2, 3, ...numbers(toSeq + 1, 10)]);
});

test('a loop that is left, and a client that is closed, leave nothing at the gateway', async () => {
  const stats = async () => (await fetch(`${gateway.url.replace(/^ws/, 'http')}/stats`)).json();
  await subscribe('client.e');
  await publish('client.f', 1, 3);
  const newest = await page.page.evaluate(async () => {
    for await (const { data } of window.client.subscribe('client.f', { last: 1 })) return data;
    return undefined;
  });
  assert.equal(newest, 3);
  await until('one subscription', async () => (await stats()).subscriptions === 1);
  await page.page.evaluate(() => window.client.close());
  await until('no connection', async () => (await stats()).connections === 0);
});
