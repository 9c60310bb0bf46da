// What examples/price-feed is made of, running: a real nats-server, the gateway of its file, its two programs.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';

import { trades } from '../../examples/price-feed/trades.js';
import { newFolder, path, serve, start, startNats } from './programs.js';

const RATE = 50;

/** The first trades that the exchange makes of a seed. */
export function tradesOf(seed, count, at) {
  const feed = trades({ seed, start: at, rate: RATE });
  return Array.from({ length: count }, () => feed.next().value);
}

/** The gateway, the address of the REST interface, `exchange` and `stop`. */
export async function startPriceFeed() {
  const folder = newFolder();
  const running = [];
  const stop = async () => {
    for (const { stop: end } of running.reverse()) await end('SIGINT');
    folder.remove();
  };
  const program = (pattern, nats, name, ...args) =>
    start(pattern, 'node', [name, '--nats', nats.url, ...args], { cwd: folder.file('programs') });
  try {
    install(folder);
    const nats = await startNats(folder);
    running.push(nats);
    const example = readFileSync(path('examples/price-feed/gateway.yaml'), 'utf8');
    assert.ok(example.includes('nats://localhost:4222'));
    const gateway = await serve(folder, example.replace('nats://localhost:4222', nats.url));
    running.push(gateway);
    const market = await program(/^market: (http:\S+),/, nats, 'market.js', '--listen', '127.0.0.1:0');
    running.push(market);
    // Publishes so many trades of a seed, a hundred times as fast as their clock says.
    const exchange = async (seed, count, at) => {
      const args = { seed, trades: count, start: at, rate: RATE, speed: 100 };
      const options = Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
      const { ended } = await program(/trades published/, nats, 'exchange.js', ...options);
      assert.equal(await ended, 0);
    };
    return { gateway, rest: market.found[1], exchange, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The programs where they find their packages, as after `npm install`. */
function install(folder) {
  const filter = (source) => !source.endsWith('node_modules');
  cpSync(path('examples/price-feed'), folder.file('programs'), { recursive: true, filter });
  mkdirSync(folder.file('programs/node_modules'));
  const packages = {
    nats: `${process.env.NODE_PACKAGES}/node_modules/nats`,
    'topic-gateway-client': path('clients/javascript'),
  };
  for (const [name, target] of Object.entries(packages)) symlinkSync(target, folder.file(`programs/node_modules/${name}`));
}
