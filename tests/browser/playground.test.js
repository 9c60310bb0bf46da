// The playground in a real Chromium, against the real gateway.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startGateway } from '../node/gateway.js';

const { chromium } = createRequire(`${process.env.NODE_PACKAGES}/`)('playwright-core');

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const address = (gateway) => gateway.url.replace(/^ws/, 'http');

let browser;
let gateway;
let page;
let complaints;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
  gateway = await startGateway();
});
after(async () => {
  await browser?.close();
  await gateway?.stop();
});

const open = async (url, options) => {
  page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, ...options });
  page.setDefaultTimeout(20_000);
  complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(`${url}/docs`);
};

beforeEach(() => open(address(gateway)));
afterEach(() => page.close());

const has = (selector, text) => page.locator(selector, { hasText: text }).first().waitFor();
const cell = (topic, name) => page.locator(`tr[data-topic="${topic}"] td[data-name="${name}"]`);
const number = async (topic, name) => Number(await cell(topic, name).textContent());
const press = (name) => page.getByRole('button', { name, exact: true }).click();
const field = (form, name) => page.locator(`#${form} [name=${name}]`);

const subscribe = async (topic) => {
  await field('subscribe', 'topic').fill(topic);
  await press('Subscribe');
  await cell(topic, 'count').waitFor();
};

const publish = async (topic, payload) => {
  await field('publish', 'topic').fill(topic);
  if (payload !== undefined) await field('publish', 'payload').fill(payload);
  await press('Publish');
};

// Waits for a condition, with a deadline.
const until = async (what, condition) => {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

test('it connects, subscribes and publishes, and shows the frames', async () => {
  await has('#state', 'connected as anonymous');
  await subscribe('page.a');
  await publish('page.a', '{"bid": 1}');
  await has('#published', 'ok, number 1');
  await until('the message comes', async () => (await number('page.a', 'count')) === 1);
  assert.equal(await cell('page.a', 'newest').textContent(), '{"bid":1}');
  await has('#lines li.out', '"type":"publish"');
  await has('#lines li.in', '"type":"message"');
  assert.ok(!(await page.locator('#lines').textContent()).match(/"sessionId":"[^…]/), 'no token is shown');
  await until('the charts move', async () => (await page.locator('polyline[points]').count()) === 4);
  assert.deepEqual(complaints, []);
});

test('a connection that is dropped is resumed and nothing is missing', async () => {
  await subscribe('page.b');
  await publish('page.b', '{"bid": 1}');
  await press('Ten a second');
  await until('messages come', async () => (await number('page.b', 'count')) > 10);
  for (let times = 0; times < 3; times += 1) {
    await press('Drop the connection');
    await has('#state', 'resumed');
  }
  const before = await number('page.b', 'count');
  await until('messages go on', async () => (await number('page.b', 'count')) > before + 10);
  await press('Ten a second');
  assert.equal(await number('page.b', 'missing'), 0);
  await until('every message came', async () => (await number('page.b', 'count')) === (await number('page.b', 'last')));
  assert.deepEqual(complaints, []);
});

test('history is replayed', async () => {
  await subscribe('page.c');
  for (const n of [1, 2, 3]) {
    await publish('page.c', String(n));
    await has('#published', `number ${n},`);
  }
  await field('replay', 'topic').fill('page.c');
  await field('replay', 'fromSeq').fill('2');
  await press('Replay');
  await has('#replayed', '2 messages, up to number 3; complete');
});

test('what is wrong is said in words, and mended without a reload', async () => {
  await has('#state', 'connected as');
  await publish('page.d', '{bid: 1}');
  await has('#published.bad', 'The payload is not JSON');
  await publish('not..a.topic', '1');
  await has('#published.bad', 'TOPIC_INVALID');
  await publish('page.d', JSON.stringify('x'.repeat(70_000)));
  await has('#published.bad', 'more than the gateway takes');
  const gone = await startGateway();
  await gone.stop();
  await field('connect', 'url').fill(`${gone.url}/ws`);
  await press('Connect');
  await has('#problem', 'There is no gateway at this address');
  await field('connect', 'url').fill(`${gateway.url}/ws`);
  await field('connect', 'token').fill('no.token.really');
  await press('Connect');
  await has('#problem', 'AUTH_FAILED');
  await field('connect', 'token').fill('');
  await press('Connect');
  await has('#state', 'connected as anonymous');
  await until('the complaint is gone', () => page.locator('#problem').isHidden());
});

test('a topic that is not allowed is refused with the reason', async () => {
  const strict = await startGateway('-f', file('strict.yaml'));
  await page.close();
  await open(address(strict));
  await has('#state', 'connected as anonymous');
  await field('subscribe', 'topic').fill('secret.a');
  await press('Subscribe');
  await has('#problem', 'ACL_DENIED');
  await subscribe('open.a');
  await strict.stop();
  await has('#problem', 'Trying again by itself');
});

test('the keyboard is enough', async () => {
  await has('#state', 'connected as');
  await field('subscribe', 'topic').focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('page.e');
  await page.keyboard.press('Enter');
  await cell('page.e', 'count').waitFor();
  const reached = new Set();
  await page.keyboard.press('Escape');
  for (let times = 0; times < 60; times += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement?.name || document.activeElement?.textContent?.trim()));
  }
  for (const name of ['Connect', 'Drop the connection', 'Leave', 'Publish', 'Ten a second', 'Replay', 'Clear', 'payload']) {
    assert.ok([...reached].some((one) => one?.startsWith(name)), `${name} in ${[...reached]}`);
  }
});

test('it is legible in the dark and in the light', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.close();
    await open(address(gateway), { colorScheme });
    await has('#state', 'connected as');
    await subscribe('page.f');
    await publish('page.f', '{"bid": 64000}');
    await until('the message comes', async () => (await number('page.f', 'count')) > 0);
    const [ink, sheet] = await page.evaluate(() => {
      const style = getComputedStyle(document.querySelector('section'));
      return [style.color, style.backgroundColor];
    });
    const light = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
    assert.ok(Math.abs(light(ink) - light(sheet)) > 0.6, `${ink} on ${sheet}`);
    assert.equal(light(sheet) > 0.5, colorScheme === 'light');
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/playground-${colorScheme}.png` });
  }
});
