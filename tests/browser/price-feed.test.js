// The page of examples/price-feed in a real Chromium, with everything behind it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { startPriceFeed, tradesOf } from '../node/price-feed.js';
import { until, withoutNats } from '../node/programs.js';

const { chromium } = createRequire(`${process.env.NODE_PACKAGES}/`)('playwright-core');

let browser;
let feed;
before(async () => {
  if (withoutNats) return;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
  feed = await startPriceFeed();
});
after(async () => {
  await browser?.close();
  await feed?.stop();
});

test('it shows the last price of each symbol, a line of candles, and who moved most', { skip: withoutNats }, async () => {
  const start = 1_700_000_000_000;
  // One half before the page is opened, by REST; the other while it is open.
  await feed.exchange(7, 500, start);
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(`${feed.rest}/?gateway=${feed.gateway.url}/ws`);
  const prices = async () => {
    const rows = await page.locator('#prices tr').all();
    return Promise.all(rows.map(async (row) => (await row.locator('td').allTextContents()).slice(0, 2).join(' ')));
  };
  const lastOf = (all) => {
    const last = Object.fromEntries(all.map(({ symbol, price }) => [symbol, price]));
    return Object.keys(last).sort().map((symbol) => `${symbol} ${last[symbol]}`);
  };
  const shows = (all) => async () => String(await prices()) === String(lastOf(all));
  // It reads what there was when its channels are subscribed to, so that from here on nothing passes it by.
  await until('what there was', shows(tradesOf(7, 500, start)));
  assert.ok((await page.locator('polyline').first().getAttribute('points')).split(' ').length > 5);
  await until('it is connected', async () => (await page.locator('#state').textContent()) === 'open');

  await feed.exchange(9, 500, start + 60_000);
  await until('what came', shows(tradesOf(9, 500, start + 60_000)));
  await until('who moved most', async () => (await page.locator('#movers li').count()) === 5);
  assert.deepEqual(complaints, []);
});
