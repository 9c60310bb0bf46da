// A WebSocket server on Node's `ws`: a Map of topic to Set of sockets, fed by NATS. `node node.js NATS_URL` prints its
// address.

import { connect } from 'nats';
import { WebSocketServer } from 'ws';

const topics = new Map();

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
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

const bus = await connect({ servers: process.argv[2] });
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
console.log('listening', `127.0.0.1:${server.address().port}`);
