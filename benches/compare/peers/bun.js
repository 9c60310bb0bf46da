// A WebSocket server on Bun, whose own publish does the work, fed by NATS. `bun bun.js NATS_URL` prints its address.

import { connect } from 'nats';

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('a WebSocket', { status: 426 })),
  websocket: {
    message(socket, data) {
      const { type, topic } = JSON.parse(data);
      if (type !== 'subscribe') return;
      socket.subscribe(topic);
      socket.send(JSON.stringify({ type: 'subscribed', topic }));
    },
  },
});

const bus = await connect({ servers: process.argv[2] });
bus.subscribe('bench.>', {
  callback(error, message) {
    if (error) throw error;
    const { subject } = message;
    server.publish(subject, `{"type":"message","topic":"${subject}","data":${message.string()}}`);
  },
});
await bus.flush();
console.log('listening', `127.0.0.1:${server.port}`);
