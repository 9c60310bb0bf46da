// Publishes the main feed: every trade of a simulated exchange, on the one subject feed.trades.
//
//   node exchange.js                                       without an end, 50 trades a second
//   node exchange.js --seed 7 --trades 1000 --speed 100    always the same thousand prices, a hundred times as fast

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { connectToNats, encode } from './connection.js';
import { trades } from './trades.js';

const { values } = parseArgs({
  options: {
    nats: { type: 'string', default: 'nats://127.0.0.1:4222' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '50' },
    trades: { type: 'string', default: 'Infinity' },
    start: { type: 'string', default: String(Date.now()) },
    speed: { type: 'string', default: '1' },
  },
});
const [seed, rate, most, start, speed] = ['seed', 'rate', 'trades', 'start', 'speed'].map((name) => Number(values[name]));
if (![seed, rate, most, start, speed].every((number) => number >= 0) || rate === 0 || speed === 0) {
  console.error('exchange: --seed, --trades and --start are numbers, --rate and --speed are above 0');
  process.exit(64);
}

/** Most trades between two looks at the clock, and at whether NATS has taken what was published. */
const BATCH = 500;
const PAUSE_MS = 20;

const nats = await connectToNats('exchange', values.nats);
console.log(`exchange: ${rate} trades a second, seed ${seed}, to feed.trades on ${nats.getServer()}`);

const begun = performance.now();
const feed = trades({ seed, start, rate });
let sent = 0;
while (sent < most) {
  // The exchange's clock: a trade is published when its time has come.
  const passed = ((performance.now() - begun) * speed) / 1000;
  const due = Math.min(most, Math.floor(passed * rate) + 1, sent + BATCH);
  for (; sent < due; sent += 1) nats.publish('feed.trades', encode(feed.next().value));
  // Waits while NATS is away or slow, so that nothing heaps up here.
  await nats.flush();
  await sleep(PAUSE_MS);
}
await nats.drain();
console.log(`exchange: ${sent} trades published`);
