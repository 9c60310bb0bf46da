// The playground in a real Chromium, against the real gateway, on the endpoint that it begins with: `/ws`.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { startGateway } from '../node/gateway.js';
import { file, Playground, startBrowser, until } from './page.js';

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

test('it connects, subscribes and publishes, and shows the frames', async () => {
  await play.has('#state', 'connected as anonymous');
  await play.subscribe('page.a');
  await play.publish('page.a', '{"bid": 1}');
  await play.has('#published', 'ok, number 1');
  await play.counts('page.a', 1);
  assert.equal(await play.cell('page.a', 'newest').textContent(), '{"bid":1}');
  await play.has('#lines li.out', '"type":"publish"');
  await play.has('#lines li.in', '"type":"message"');
  assert.ok(!(await play.page.locator('#lines').textContent()).match(/"sessionId":"[^…]/), 'no token is shown');
  await until('the charts move', async () => (await play.page.locator('polyline[points]').count()) === 4);
  assert.deepEqual(play.complaints, []);
});

test('a connection that is dropped is resumed and nothing is missing', async () => {
  await play.subscribe('page.b');
  await play.publish('page.b', '{"bid": 1}');
  await play.press('Ten a second');
  await play.counts('page.b', 11);
  for (let times = 0; times < 3; times += 1) {
    await play.press('Drop the connection');
    await play.has('#state', 'resumed');
  }
  await play.counts('page.b', (await play.number('page.b', 'count')) + 11);
  await play.press('Ten a second');
  assert.equal(await play.number('page.b', 'missing'), 0);
  await until('every message came', async () => (await play.number('page.b', 'count')) === (await play.number('page.b', 'last')));
  assert.deepEqual(play.complaints, []);
});

test('history is replayed', async () => {
  await play.subscribe('page.c');
  for (const n of [1, 2, 3]) {
    await play.publish('page.c', String(n));
    await play.has('#published', `number ${n},`);
  }
  await play.field('replay', 'topic').fill('page.c');
  await play.field('replay', 'fromSeq').fill('2');
  await play.press('Replay');
  await play.has('#replayed', '2 messages, up to number 3; complete');
});

test('what is wrong is said in words, and mended without a reload', async () => {
  await play.has('#state', 'connected as');
  await play.publish('page.d', '{bid: 1}');
  await play.has('#published.bad', 'The payload is not JSON');
  await play.publish('not..a.topic', '1');
  await play.has('#published.bad', 'TOPIC_INVALID');
  await play.publish('page.d', JSON.stringify('x'.repeat(70_000)));
  await play.has('#published.bad', 'more than the gateway takes');
  await play.connect({ url: 'nonsense' });
  await play.has('#problem', 'give one like ws://127.0.0.1:8080');
  const gone = await startGateway();
  await gone.stop();
  await play.connect({ url: `${gone.url}/ws` });
  await play.has('#problem', `no gateway answers at ${gone.url}/ws`);
  await play.connect({ url: `${gateway.url}/ws`, token: 'no.token.really' });
  await play.has('#problem', 'AUTH_FAILED');
  await play.connect({ token: '' });
  await play.has('#state', 'connected as anonymous');
  await until('the complaint is gone', () => play.page.locator('#problem').isHidden());
});

test('a topic that is not allowed is refused with the reason', async () => {
  const strict = await startGateway('-f', file('strict.yaml'));
  await play.close();
  play = await Playground.open(browser, strict);
  await play.has('#state', 'connected as anonymous');
  await play.subscribe('secret.a');
  await play.has('#problem', 'ACL_DENIED');
  await play.subscribe('open.a');
  await play.cell('open.a', 'count').waitFor();
  await strict.stop();
  await play.has('#problem', 'Trying again by itself');
});

test('the keyboard is enough', async () => {
  const { page } = play;
  await play.has('#state', 'connected as');
  await play.field('subscribe', 'topic').focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('page.e');
  await page.keyboard.press('Enter');
  await play.cell('page.e', 'count').waitFor();
  const reached = new Set();
  await page.keyboard.press('Escape');
  for (let times = 0; times < 60; times += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement?.name || document.activeElement?.textContent?.trim()));
  }
  const names = ['endpoint', 'Connect', 'Drop the connection', 'Leave', 'Publish', 'Ten a second', 'Replay', 'Clear', 'payload'];
  for (const name of names) assert.ok([...reached].some((one) => one?.startsWith(name)), `${name} in ${[...reached]}`);
  // The arrows pick the next endpoint, and Enter subscribes there.
  await page.getByRole('radio', { name: '/ws', exact: false }).first().focus();
  await page.keyboard.press('ArrowDown');
  await play.has('#state', 'no topic yet');
  await play.field('subscribe', 'topic').press('Enter');
  await play.has('#state', 'connected as anonymous, 1 connection');
});

for (const colorScheme of ['light', 'dark']) {
  for (const [shape, viewport] of [['wide', { width: 1280, height: 1000 }], ['narrow', { width: 390, height: 844 }]]) {
    test(`it is legible in the ${colorScheme}, on a ${shape} screen`, async () => {
      await play.close();
      play = await Playground.open(browser, gateway, { colorScheme, viewport });
      await play.has('#state', 'connected as');
      await play.subscribe('page.f');
      await play.publish('page.f', '{"bid": 64000}');
      await play.counts('page.f', 1);
      const [ink, sheet] = await play.page.evaluate(() => {
        const style = getComputedStyle(document.querySelector('section'));
        return [style.color, style.backgroundColor];
      });
      const light = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
      assert.ok(Math.abs(light(ink) - light(sheet)) > 0.6, `${ink} on ${sheet}`);
      assert.equal(light(sheet) > 0.5, colorScheme === 'light');
      const sideways = await play.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(sideways <= 0, `${sideways} pixels beyond the screen`);
      const folder = process.env.SCREENSHOTS;
      if (folder) await play.page.screenshot({ path: `${folder}/playground-${colorScheme}-${shape}.png`, fullPage: true });
    });
  }
}
