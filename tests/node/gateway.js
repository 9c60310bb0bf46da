// The real binary, serving on free ports, and a client on Node's `ws`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.NODE_PACKAGES}/`);
export const WebSocket = require('ws');

const DEADLINE = 20_000;

// Starts `topic-gateway dev`; `stop` ends it and gives its exit code.
export async function startGateway(...options) {
  const args = ['dev', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...options];
  const child = spawn(process.env.TOPIC_GATEWAY, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^\s*gateway\s.*http(s?):\/\/([\d.]+:\d+)/.exec(line);
    if (found) {
      child.stdout.resume();
      const stop = async (signal = 'SIGTERM') => {
        child.kill(signal);
        return (await exit)[0];
      };
      return { url: `ws${found[1]}://${found[2]}`, stop };
    }
  }
  throw new Error('the gateway ended before it printed its address');
}

// A client that hands out what it receives one by one.
export class Client {
  #received = [];
  #waiting = [];

  static async open(url, options) {
    const client = new Client();
    client.socket = new WebSocket(url, options);
    client.closed = once(client.socket, 'close').then(([code, reason]) => ({ code, reason: reason.toString() }));
    client.socket.on('message', (data, binary) => client.#take({ text: data.toString(), binary }));
    await once(client.socket, 'open');
    return client;
  }

  #take(message) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#received.push(message);
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  // The next frame, which must be of this type.
  async expect(type) {
    const message = this.#received.shift() ?? (await this.#next());
    if (message.binary) throw new Error(`a binary frame: ${message.text}`);
    const frame = JSON.parse(message.text);
    if (frame.type !== type) throw new Error(`${type} was to come, not ${message.text}`);
    return frame;
  }

  #next() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no frame in time')), DEADLINE);
      this.#waiting.push((message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
  }
}
