// Two and a half minutes in the life of two gateways, and the dashboards of them as pictures. `benches/dashboards/run`
// starts it.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { newFolder, path } from '../../tests/node/programs.js';
import { draw, pace } from './draw.js';
import { Gateway, Nats, Prometheus } from './fleet.js';
import { asking, pause, publisher, readers, slowReaders, talkers } from './people.js';

const COINS = ['btc', 'eth', 'sol', 'xrp', 'ada', 'dot', 'ltc', 'avax', 'link', 'doge'];
const ROOMS = ['lobby', 'help', 'news', 'offtopic'];
/** The widest window, rates over it included, must have begun after the start. */
const SECONDS = 150;

const OPEN = { anonymous: 'Allow' };
const market = (nats) => ({
  backbone: {
    nats: {
      servers: [nats.url],
      subjects: ['prices.>', 'depth.>', 'orders.>'],
      jetStream: { stream: 'MARKET', manage: true },
    },
  },
  authentication: OPEN,
  authorization: [{ subscribe: ['prices.>', 'depth.>'], publish: ['orders.>'] }],
  limits: { windowBytes: 262_144, publishPerSecond: 0 },
  drain: { windowSeconds: 15 },
  topics: [{ pattern: 'depth.btc', slowConsumer: 'DropOldest' }, { pattern: 'depth.eth', slowConsumer: 'Conflate' }],
});
/** The second generation of it. */
const CHANGES = { limits: { windowBytes: 524_288, publishPerSecond: 0 } };
const chat = (nats) => ({
  backbone: { nats: { servers: [nats.url], subjects: ['chat.>'] } },
  authentication: OPEN,
  authorization: [{ subscribe: ['chat.>'], publish: ['chat.>'] }],
});

// A few topics have most of the readers.
const popular = (number, list) => list[Math.floor(list.length * ((number * 0.618) % 1) ** 2)];
const depth = 'x'.repeat(6_000);

const folder = newFolder();
const ending = [];
const ends = (thing) => (ending.push(thing), thing);

async function main() {
  const nats = await Nats.start(folder);
  ends({ close: () => nats.stop() });
  const trading = new Gateway(folder, 'prices', 'market', market(nats));
  const talking = new Gateway(folder, 'social', 'chat', chat(nats));
  for (const gateway of [trading, trading, talking]) {
    const pod = await gateway.add();
    ends({ close: () => pod.stop('SIGKILL') });
  }
  const prometheus = await Prometheus.start(folder);
  ends({ close: () => prometheus.stop() });
  prometheus.scrape([trading, talking]);

  const from = Date.now() / 1000;
  const at = (second) => pause(from + second - Date.now() / 1000);
  await Promise.all([
    everyday(nats, trading, talking),
    slow(at, trading),
    outage(at, nats),
    reload(at, trading),
    rollout(at, trading, talking, prometheus),
    at(SECONDS),
  ]);
  await take(prometheus, from + 4, from + SECONDS);
}

/** Readers come, prices rise and fall, people talk. */
async function everyday(nats, trading, talking) {
  const outside = ends(await publisher(nats.url));
  const begin = Date.now();
  const wave = () => 40 + 25 * Math.sin((Date.now() - begin) / 9_000);
  let number = 0;
  const next = (count) => COINS[(number += 1) % count];
  outside.every(wave, () => [`prices.${next(COINS.length)}`, { bid: 64_000 + number, size: number % 7 }]);
  outside.every(() => 60, () => [`depth.${next(3)}`, { levels: depth }]);
  ends(talkers(trading, 4, () => 'orders.new', 0.5));
  ends(talkers(talking, 8, (message) => `chat.${ROOMS[message % ROOMS.length]}`, 0.8));
  const [first, second] = await Promise.all([
    readers(trading, 150, 30, (reader) => [`prices.${popular(reader, COINS)}`, `prices.${popular(reader + 7, COINS)}`]),
    readers(talking, 60, 20, (reader) => [`chat.${popular(reader, ROOMS)}`]),
  ]);
  ends(first);
  ends(second);
}

/** Some read nothing for a while, and one asks for what it may not have. */
async function slow(at, gateway) {
  await at(35);
  const denied = ends(asking(gateway, { type: 'subscribe', topic: 'orders.new' }, 0.4));
  const topics = Array.from({ length: 9 }, (_, reader) => `depth.${COINS[reader % 3]}`);
  ends(await slowReaders(gateway, topics, 22));
  denied.close();
}

/** NATS is away for some seconds. */
async function outage(at, nats) {
  await at(75);
  await nats.stop();
  await at(80);
  await nats.startAgain();
}

/** One pod takes the new configuration over before the other. */
async function reload(at, gateway) {
  for (const [second, pod] of [[96, gateway.pods[0]], [101, gateway.pods[1]]]) {
    await at(second);
    gateway.configure(pod, 2, CHANGES);
  }
}

/** A pod is replaced: its clients come back to the others. */
async function rollout(at, gateway, other, prometheus) {
  await at(108);
  const pod = await gateway.add(2, CHANGES);
  ends({ close: () => pod.stop('SIGKILL') });
  prometheus.scrape([gateway, other]);
  await at(114);
  await gateway.drain(gateway.pods[0]);
  prometheus.scrape([gateway, other]);
}

async function take(prometheus, from, to) {
  const range = { from: Math.ceil(from), to: Math.floor(to), ...pace(to - from) };
  mkdirSync(path('docs/pictures'), { recursive: true });
  const pictures = { fleet: {}, gateway: { gateway: 'prices/market' } };
  for (const [name, variables] of Object.entries(pictures)) {
    const dashboard = JSON.parse(readFileSync(path(`charts/topic-gateway/files/dashboards/${name}.json`), 'utf8'));
    writeFileSync(path(`docs/pictures/${name}.svg`), await draw(dashboard, prometheus.url, { ...range, variables }));
    console.log(`docs/pictures/${name}.svg`);
  }
}

try {
  await main();
} finally {
  for (const thing of ending.reverse()) await thing.close();
  folder.remove();
}
