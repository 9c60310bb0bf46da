// A WebSocket server on Node's `ws`: a Map of topic to Set of sockets, fed by NATS. `node node.js NATS_URL
// [CERTIFICATE KEY]` prints its address.

import { readFileSync } from 'node:fs';
import { createServer as http } from 'node:http';
import { createServer as https } from 'node:https';

import { connect } from 'nats';
import { WebSocketServer } from 'ws';

const [, , url, cert, key] = process.argv;
const topics = new Map();

const listener = cert ? https({ cert: readFileSync(cert), key: readFileSync(key) }) : http();
const server = new WebSocketServer({ server: listener });
server.on('connection', (socket) => {
  const own = new Set();
  socket.on('message', (data) => {
    const { type, topic } = JSON.parse(data);
    if (type !== 'subscribe') return;
    if (!topics.has(topic)) topics.set(topic, new Set());
    topics.get(topic).add(socket);
    own.add(topic);
    socket.send(JSON.stringify({ type: 'subscribed', topic }));
  });
  socket.on('close', () => {
    for (const topic of own) {
      const sockets = topics.get(topic);
      sockets.delete(socket);
      if (sockets.size === 0) topics.delete(topic);
    }
  });
});

const bus = await connect({ servers: url });
bus.subscribe('bench.>', {
  callback(error, message) {
    if (error) throw error;
    const sockets = topics.get(message.subject);
    if (!sockets) return;
    const text = `{"type":"message","topic":"${message.subject}","data":${message.string()}}`;
    for (const socket of sockets) socket.send(text);
  },
});
await bus.flush();
listener.listen(0, '127.0.0.1', () => console.log('listening', `127.0.0.1:${listener.address().port}`));
