// examples/price-feed, as its README tells it: a real nats-server, the gateway of its file, its two programs, and its board
// in the place of a page. What the channels bring is judged by the trades themselves.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { Board } from '../../examples/price-feed/board.js';
import { KEPT_CANDLES, MOST_SYMBOLS, Market } from '../../examples/price-feed/derive.js';
import { Client, WebSocket } from './gateway.js';
import { startPriceFeed, tradesOf } from './price-feed.js';
import { connectFor, until, withoutNats } from './programs.js';

const START = 1_700_000_000_250;
// The thousandth trade of seed 7, wherever this runs.
const LATE = { seqNo: 1000, symbol: 'DOT', price: 5.98517, size: 51, at: START + 19_980 };
let running;
let gateway;
let rest;
before(async () => {
  if (withoutNats) return;
  running = await startPriceFeed();
  ({ gateway, rest } = running);
});
after(() => running?.stop());

// The candles of these trades, said in another way than derive.js does: those of every second but the last.
const candlesOf = (all) => {
  const second = ({ at }) => Math.floor(at / 1000) * 1000;
  const seconds = [...new Set(all.map(second))].slice(0, -1);
  const symbols = [...new Set(all.map(({ symbol }) => symbol))];
  return seconds.flatMap((start) =>
    symbols.flatMap((symbol) => {
      const of = all.filter((trade) => trade.symbol === symbol && second(trade) === start);
      if (of.length === 0) return [];
      const prices = of.map(({ price }) => price);
      const [open, close, low, high] = [prices[0], prices.at(-1), Math.min(...prices), Math.max(...prices)];
      const volume = of.reduce((sum, { size }) => sum + size, 0);
      return [{ symbol, start, open, high, low, close, volume, trades: of.length, complete: true }];
    }),
  );
};
const byPlace = (a, b) => a.start - b.start || (a.symbol < b.symbol ? -1 : 1);

const get = async (place) => {
  const answer = await fetch(rest + place);
  return { status: answer.status, body: await answer.json() };
};

const scenario = (sentence, body) => test(sentence, { skip: withoutNats }, body);

test('the same seed gives the same trades, another one others', () => {
  const first = tradesOf(7, 1000, START);
  assert.deepEqual(tradesOf(7, 1000, START), first);
  assert.notDeepEqual(tradesOf(8, 1000, START).map(({ price }) => price), first.map(({ price }) => price));
  const { session, ...late } = first[999];
  assert.deepEqual(late, LATE);
});

scenario('ticks, candles and movers follow from the main feed, and REST tells the last of them', async (t) => {
  const client = connectFor(t, gateway);
  const [ticks, candles, movers] = [[], [], []];
  const ready = [['ticks.*', ticks], ['candles.1s.*', candles], ['movers', movers]].map(
    ([topic, got]) => client.subscribe(topic, (message) => got.push(message)).ready,
  );
  await Promise.all(ready);
  await running.exchange(7, 1000, START);
  const all = tradesOf(7, 1000, START);
  await until('every tick', () => ticks.length === all.length);
  for (const [n, { topic, data }] of ticks.entries()) {
    const { symbol, price, size, at } = all[n];
    assert.deepEqual([topic, data], [`ticks.${symbol}`, { symbol, price, size, at }]);
  }
  const expected = candlesOf(all);
  await until('every candle', () => candles.length === expected.length);
  assert.deepEqual(candles.map(({ data }) => data).sort(byPlace), expected.sort(byPlace));
  assert.ok(candles.every(({ topic, data }) => topic === `candles.1s.${data.symbol}`));
  await until('the movers of each second', () => movers.length === 20);
  const moves = movers.at(-1).data.movers.map(({ changePercent }) => Math.abs(changePercent));
  assert.equal(moves.length, 5);
  assert.deepEqual(moves, [...moves].sort((a, b) => b - a));
  const { symbol, price, changePercent } = movers.at(-1).data.movers[0];
  const own = expected.filter((candle) => candle.symbol === symbol);
  assert.equal(price, own.at(-1).close);
  assert.equal(changePercent, Number(((own.at(-1).close / own[0].open - 1) * 100).toFixed(4)));

  const last = all.findLast((trade) => trade.symbol === 'BTC');
  assert.deepEqual((await get('/prices/BTC')).body, { symbol: 'BTC', price: last.price, at: last.at });
  assert.equal((await get('/prices')).body.prices.length, 6);
  const btc = expected.filter((candle) => candle.symbol === 'BTC');
  assert.deepEqual((await get('/candles/BTC?last=3')).body, { symbol: 'BTC', candles: btc.slice(-3) });
  for (const [place, status] of [['/prices/XYZ', 404], ['/candles/XYZ', 404], ['/candles/BTC?last=0', 400], ['/else', 404]]) {
    assert.equal((await get(place)).status, status, place);
  }
});

scenario('nobody reads the main feed through the gateway, and nobody writes', async () => {
  const client = await Client.open(`${gateway.url}/ws`);
  client.send({ type: 'subscribe', topic: 'feed.trades' });
  assert.equal((await client.expect('error')).code, 'ACL_DENIED');
  client.send({ type: 'publish', topic: 'ticks.BTC', messageId: '1', payload: {} });
  assert.equal((await client.expect('error')).code, 'ACL_DENIED');
  client.socket.close();
});

scenario('the page has all that it imports, and its board is what REST and the channels say', async (t) => {
  const page = await (await fetch(rest)).text();
  const seen = new Set();
  const follow = async (place) => {
    if (seen.has(place)) return;
    seen.add(place);
    const answer = await fetch(place);
    assert.equal(answer.status, 200, place);
    await imports(await answer.text(), place);
  };
  const imports = async (text, base) => {
    for (const [, name] of text.matchAll(/from '(\.[^']*)'/g)) await follow(new URL(name, base).href);
  };
  await imports(page, `${rest}/`);
  assert.ok(seen.size > 10, `${[...seen]}`);

  const client = connectFor(t, gateway);
  const board = new Board({ client, rest });
  t.after(() => board.close());
  await board.ready;
  const before = (await get('/candles/BTC?last=60')).body.candles;
  assert.deepEqual(board.candles.get('BTC'), before, 'what there was');
  // A minute later by the exchange's clock.
  const start = START + 60_000;
  await running.exchange(9, 500, start);
  const all = tradesOf(9, 500, start);
  const btc = candlesOf(all).filter(({ symbol }) => symbol === 'BTC');
  const newest = () => board.candles.get('BTC').slice(-btc.length);
  await until('the new candles', () => isDeepStrictEqual(newest(), btc));
  const { price, at } = all.findLast(({ symbol }) => symbol === 'BTC');
  await until('the last price', () => isDeepStrictEqual(board.prices.get('BTC'), { price, at }));
  await until('who moved most', () => board.movers.length === 5);
});

scenario('a board that lost its connection reads what it has missed', async (t) => {
  let socket;
  class Remembered extends WebSocket {
    constructor(...args) {
      super(...args);
      socket = this;
    }
  }
  const client = connectFor(t, gateway, { WebSocket: Remembered });
  let asked = 0;
  const counting = (url) => {
    asked += 1;
    return fetch(url);
  };
  const board = new Board({ client, rest, fetch: counting });
  t.after(() => board.close());
  await board.ready;
  const before = asked;
  socket.terminate();
  await until('it has read again', () => asked > before && client.state === 'open');
});

test('a hole in the main feed is counted, and its candles say that they are not complete', () => {
  const [first, second] = [new Market(), new Market()];
  const all = tradesOf(7, 300, START);
  for (const trade of all) first.take(trade);
  const lost = all.findIndex(({ at }) => at >= START + 2_000);
  for (const trade of all.filter((_, n) => n !== lost)) second.take(trade);
  assert.deepEqual([first.missed, second.missed], [0, 1]);
  const holes = second.candles('BTC').filter(({ complete }) => !complete);
  assert.deepEqual(holes.map(({ start }) => start), [Math.floor((START + 2_000) / 1000) * 1000]);
  assert.ok(first.candles('BTC').every(({ complete }) => complete));
  // Twice the same: once.
  assert.deepEqual(second.take(all.at(-1)), []);
});

test('however much is traded, no more is kept than the bounds say', () => {
  const market = new Market();
  for (let n = 0; n < MOST_SYMBOLS + 10; n += 1) {
    market.take({ session: 'a', seqNo: n + 1, symbol: `S${n}`, price: 1, size: 1, at: START });
  }
  assert.deepEqual([market.prices().length, market.ignored], [MOST_SYMBOLS, 10]);
  for (let n = 0; n < KEPT_CANDLES + 10; n += 1) {
    market.take({ session: 'a', seqNo: MOST_SYMBOLS + 11 + n, symbol: 'S0', price: 1, size: 1, at: START + n * 1000 });
  }
  assert.equal(market.candles('S0', 2 * KEPT_CANDLES).length, KEPT_CANDLES);
});
