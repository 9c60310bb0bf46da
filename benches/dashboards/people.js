// Who uses the gateways: readers, slow readers, publishers on NATS and at the gateways.

import { createRequire } from 'node:module';

import { connect } from '../../clients/javascript/src/index.js';

const { connect: connectNats, headers, StringCodec } = createRequire(`${process.env.NODE_PACKAGES}/`)('nats');

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Opens readers one after the other over some seconds; each has the topics that `choose` gives for its number. */
export async function readers(gateway, count, seconds, choose) {
  const clients = [];
  for (let number = 0; number < count; number += 1) {
    const client = connect('ws://a.service/ws', { WebSocket: gateway.Socket });
    for (const topic of choose(number)) client.subscribe(topic, () => {}, { onGap: () => {} });
    clients.push(client);
    await pause(seconds / count);
  }
  return { close: () => clients.forEach((client) => client.close()) };
}

/** Readers that stop to read for some seconds, and then go on. */
export async function slowReaders(gateway, topics, seconds) {
  const sockets = topics.map((topic) => {
    const socket = new gateway.Socket();
    socket.on('open', () => socket.send(JSON.stringify({ type: 'subscribe', topic })));
    socket.on('error', () => {});
    socket.once('message', () => socket.pause());
    return socket;
  });
  await pause(seconds);
  for (const socket of sockets) socket.resume();
  return { close: () => sockets.forEach((socket) => socket.terminate()) };
}

/** Asks again and again for something. */
export function asking(gateway, frame, everySeconds) {
  let timer;
  const socket = new gateway.Socket();
  socket.on('error', () => {});
  socket.on('open', () => (timer = setInterval(() => socket.send(JSON.stringify(frame)), everySeconds * 1000)));
  return { close: () => (clearInterval(timer), socket.close()) };
}

/** Publishes on NATS, each message with the time at which it was. */
export async function publisher(url) {
  const connection = await connectNats({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 250 });
  const codec = StringCodec();
  const timers = [];
  let away = false;
  watch(connection, (now) => (away = now));
  const publish = (topic, body) => {
    // It would be sent later, when it is late.
    if (away) return;
    const head = headers();
    head.set('Nats-Time-Stamp', new Date().toISOString());
    connection.publish(topic, codec.encode(JSON.stringify(body)), { headers: head });
  };
  return {
    /** Publishes what `message` gives, `rate()` times a second. */
    every(rate, message) {
      let due = 0;
      timers.push(setInterval(() => {
        for (due += rate() / 20; due >= 1; due -= 1) publish(...message());
      }, 50));
    },
    close() {
      timers.forEach(clearInterval);
      return connection.close();
    },
  };
}

async function watch(connection, tell) {
  for await (const { type } of connection.status()) {
    if (type === 'disconnect' || type === 'reconnect') tell(type === 'disconnect');
  }
}

/** Clients that publish at the gateway; one message in ten is sent twice. */
export function talkers(gateway, count, topic, everySeconds) {
  const clients = Array.from({ length: count }, () => connect('ws://a.service/ws', { WebSocket: gateway.Socket }));
  let number = 0;
  const timers = clients.map((client) =>
    setInterval(() => {
      number += 1;
      const messageId = `${topic(number)} ${number}`;
      for (let time = 0; time < (number % 10 ? 1 : 2); time += 1) {
        client.publish(topic(number), { number }, { messageId }).catch(() => {});
      }
    }, everySeconds * 1000),
  );
  return {
    close() {
      timers.forEach(clearInterval);
      clients.forEach((client) => client.close());
    },
  };
}
