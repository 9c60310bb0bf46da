// A trader's client: prices, the own orders, and a look at what is not allowed.
//
//   GATEWAY_URL=ws://127.0.0.1:8080/ws TOKEN=… node client.js prices.eurusd orders.ann risk.limits
//
// Publishes one order, twice with the same messageId: it is accepted once. Then prints what arrives until it is
// stopped, and reconnects when the gateway says so or goes away.

import { randomUUID } from 'node:crypto';
import WebSocket from 'ws';

const url = process.env.GATEWAY_URL ?? 'ws://127.0.0.1:8080/ws';
const token = process.env.TOKEN;
const topics = process.argv.slice(2);
const orders = topics.find((topic) => topic.startsWith('orders.'));

let order = orders && { messageId: randomUUID(), payload: { buy: 'EURUSD', amount: 1000 } };
let attempts = 0;
let back = 0; // when to be back, as a gateway that goes away has asked for

function connect() {
  const socket = new WebSocket(url);
  const send = (frame) => socket.send(JSON.stringify(frame));
  const publish = () => send({ type: 'publish', topic: orders, ...order });

  const answers = {
    ready: ({ userId }) => {
      attempts = 0;
      console.log(`connected as ${userId}`);
    },
    subscribed: ({ topic }) => {
      console.log(`subscribed to ${topic}`);
      if (topic === orders && order) publish();
    },
    message: ({ topic, data }) => console.log(`${topic} ${JSON.stringify(data)}`),
    ack: ({ status }) => {
      console.log(`order: ${status}`);
      // As if the first answer had been lost: the same messageId again is safe.
      if (status === 'ok') publish();
      else order = undefined;
    },
    gap: ({ topic, reason }) => console.log(`${topic}: messages are missing (${reason})`),
    draining: ({ reconnectAfterMs }) => {
      console.log(`the gateway goes away, back in ${reconnectAfterMs} ms`);
      back = Date.now() + reconnectAfterMs;
    },
    error: ({ code, message, topic }) => console.log(`${code}${topic ? ` ${topic}` : ''}: ${message}`),
  };

  socket.on('open', () => send({ type: 'setup', token, topics }));
  socket.on('message', (text) => {
    const frame = JSON.parse(text);
    answers[frame.type]?.(frame);
  });
  socket.on('error', (error) => console.log(`no connection: ${error.message}`));
  socket.on('close', (code, reason) => {
    console.log(`closed with ${code} ${reason}`);
    // 4401 and 4403: the token is at fault, and trying again would not mend it.
    if (code === 4401 || code === 4403) process.exit(1);
    // Not all at once: as the gateway has spread its clients, or else after a random share of a growing pause.
    const random = Math.min(15_000, 250 * 2 ** attempts) * (0.5 + Math.random() / 2);
    const wait = back ? Math.max(0, back - Date.now()) : random;
    back = 0;
    attempts += 1;
    setTimeout(connect, wait);
  });
}

connect();
