// Reads the main feed, publishes the channels that are derived from it, and answers requests for the last of both.
//
//   node market.js --nats nats://127.0.0.1:4222 --listen 127.0.0.1:8090

import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { connectToNats, decode, encode } from './connection.js';
import { Market } from './derive.js';
import { createRest } from './rest.js';

const { values } = parseArgs({
  options: {
    nats: { type: 'string', default: 'nats://127.0.0.1:4222' },
    listen: { type: 'string', default: '127.0.0.1:8090' },
  },
});
const [host, port] = values.listen.split(':');

const nats = await connectToNats('market', values.nats);
const market = new Market();
let missed = 0;

// By a callback: a trade is done with before the next is taken, so that none heap up here.
nats.subscribe('feed.trades', {
  callback: (error, message) => {
    try {
      if (error) throw error;
      for (const { channel, data } of market.take(decode(message.data))) nats.publish(channel, encode(data));
    } catch (cause) {
      // What is no trade does not end those that follow.
      return console.error(`market: the feed: ${cause.message}`);
    }
    if (market.missed > missed) console.error(`market: ${market.missed - missed} trades were missed`);
    missed = market.missed;
  },
});
await nats.flush();

const server = createRest(market).listen(Number(port), host);
await once(server, 'listening');
console.log(`market: http://${host}:${server.address().port}, derives from feed.trades on ${nats.getServer()}`);
