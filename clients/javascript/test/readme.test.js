// The example of the README, as it stands there, with the real gateway.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { mint, open, resource, startGateway, without } from './gateway.js';

const read = (place) => readFileSync(place, 'utf8');

let gateway;
before(async () => {
  if (without) return;
  gateway = await startGateway({ text: read(resource).replaceAll('open.>', 'prices.>') });
});
after(() => gateway?.stop('SIGKILL'));

test('the example of the README runs to its end', { skip: without }, async (t) => {
  const [, code] = /```js\nimport [^\n]*\n(.*?)```/s.exec(read(new URL('../README.md', import.meta.url)));
  const connect = (url, options) => {
    assert.match(code, new RegExp(`connect\\('${url}'`));
    return open(t, gateway.url, options);
  };
  const fetch = async (place) => (assert.equal(place, '/token'), { text: () => mint('ann') });
  const printed = [];
  const console = { log: (...values) => printed.push(values) };
  const AsyncFunction = (async () => {}).constructor;
  let running = true;
  const example = new AsyncFunction('connect', 'fetch', 'console', code)(connect, fetch, console);
  const ended = example.finally(() => (running = false));
  // Somebody else, whose prices rise: the loop is left at the first one above 100.
  const publisher = open(t, gateway.url, { token: await mint('ann') });
  for (let price = 99; running; price += 1) await publisher.publish('prices.btc', { price });
  await ended;
  assert.ok(printed.some(([seqNo, price]) => Number.isInteger(seqNo) && price > 100), JSON.stringify(printed));
});
