// What there is without a WebSocket: the last price, the last candles; and the page with what it imports.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

import { KEPT_CANDLES } from './derive.js';

/** The folder of the client's modules, wherever it is installed. */
const CLIENT = new URL('.', import.meta.resolve('topic-gateway-client'));
/** A request names a path alone. */
const BASE = 'http://localhost';

/** A server that tells what a `Market` knows; not yet listening. */
export function createRest(market) {
  return createServer((request, response) => {
    answer(market, request).then(
      ({ status = 200, type = 'application/json', body }) => {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        // A price is old at once: nobody is to keep it.
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
      },
      (error) => {
        console.error(`market: ${request.url}: ${error.message}`);
        response.writeHead(500).end();
      },
    );
  });
}

async function answer(market, { method, url }) {
  if (method !== 'GET') return failed(405, 'only GET is answered here');
  if (!URL.canParse(url, BASE)) return failed(400, 'this is no path');
  const { pathname, searchParams } = new URL(url, BASE);
  const [, place, name, ...more] = pathname.split('/');
  if (more.length > 0) return failed(404, `there is no ${pathname}`);
  if (place === '') return file(new URL('page.html', import.meta.url), 'text/html; charset=utf-8');
  if (place === 'board.js') return file(new URL('board.js', import.meta.url), 'text/javascript');
  // A single name of letters and dashes cannot lead out of the folder.
  if (place === 'client' && /^[a-z-]+\.js$/.test(name)) return file(new URL(name, CLIENT), 'text/javascript');
  if (place === 'prices') return prices(market, name);
  if (place === 'candles') return candles(market, name, searchParams.get('last') ?? '60');
  return failed(404, `there is no ${pathname}`);
}

function prices(market, symbol) {
  if (!symbol) return { body: { prices: market.prices() } };
  const price = market.price(symbol);
  return price ? { body: price } : failed(404, `${symbol} is not traded`);
}

function candles(market, symbol, last) {
  const count = Number(last);
  if (!Number.isInteger(count) || count < 1 || count > KEPT_CANDLES) {
    return failed(400, `last is a whole number from 1 to ${KEPT_CANDLES}`);
  }
  const found = market.candles(symbol, count);
  return found ? { body: { symbol, candles: found } } : failed(404, `${symbol} is not traded`);
}

async function file(place, type) {
  try {
    return { type, body: await readFile(place, 'utf8') };
  } catch (error) {
    if (error.code === 'ENOENT') return failed(404, 'there is no such file');
    throw error;
  }
}

const failed = (status, error) => ({ status, body: { error } });
