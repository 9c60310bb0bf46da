// A WebSocket server on Bun, whose own publish does the work, fed by NATS. `bun bun.js NATS_URL [CERTIFICATE KEY]`
// prints its address.

import { connect } from 'nats';

const [, , url, cert, key] = process.argv;

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  tls: cert && { cert: Bun.file(cert), key: Bun.file(key) },
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

const bus = await connect({ servers: url });
bus.subscribe('bench.>', {
  callback(error, message) {
    if (error) throw error;
    const { subject } = message;
    server.publish(subject, `{"type":"message","topic":"${subject}","data":${message.string()}}`);
  },
});
await bus.flush();
console.log('listening', `127.0.0.1:${server.port}`);
