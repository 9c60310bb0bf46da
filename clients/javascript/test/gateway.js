// The real binary, on free ports; and a relay in front of it whose connections can be cut.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, createServer } from 'node:net';
import { createInterface } from 'node:readline';

import { connect } from '../src/index.js';

export const binary = process.env.TOPIC_GATEWAY_BIN;

const natsServer = process.env.NATS_SERVER_BIN;

/** Why there can be no integration test; false if there can. */
export const without =
  !binary
    ? 'TOPIC_GATEWAY_BIN names no topic-gateway'
    : globalThis.WebSocket === undefined && 'there is no WebSocket: Node 22, or 20 with --experimental-websocket';

/** Starts `topic-gateway dev`, from a resource's file or text; `stop` ends it. */
export async function startGateway({ file, text }) {
  const args = ['dev', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '-f', file ?? '-'];
  const child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.end(text ?? '');
  const { host, port, stop } = await address(child, child.stdout, /^\s*gateway\s.*http:\/\/([\d.]+):(\d+)/);
  return { host, port, stop, url: `ws://${host}:${port}/ws` };
}

/** Starts a nats-server, on a free port unless one is given. */
export async function startNats(port = -1) {
  const child = spawn(natsServer, ['-a', '127.0.0.1', '-p', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
  return address(child, child.stderr, /Listening for client connections on ([\d.]+):(\d+)/);
}

/** The address that a process prints, and how to end it; gives its exit code. */
async function address(child, output, pattern) {
  const exit = once(child, 'exit');
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return (await exit)[0];
  };
  for await (const line of createInterface({ input: output })) {
    const [, host, port] = pattern.exec(line) ?? [];
    if (!host) continue;
    output.resume();
    return { host, port: Number(port), stop };
  }
  throw new Error(`${child.spawnfile} ended before it printed its address`);
}

/** Passes bytes on to a gateway that can be changed; `cut` resets every connection. */
export async function startRelay(gateway) {
  const relay = { target: gateway, accepted: 0 };
  const pairs = new Set();
  const server = createServer((near) => {
    relay.accepted += 1;
    const far = dial(relay.target.port, relay.target.host);
    const pair = [near, far];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  relay.url = `ws://127.0.0.1:${server.address().port}/ws`;
  relay.cut = () => {
    for (const [near, far] of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  };
  relay.stop = async () => {
    relay.cut();
    server.close();
    await once(server, 'close');
  };
  return relay;
}

/** Why there can be none with NATS. */
export const withoutNats = without || (!natsServer && 'NATS_SERVER_BIN names no nats-server');

/** The resource that the tests' gateway is started from. */
export const resource = new URL('gateway.yaml', import.meta.url).pathname;

/** A token of a user for that gateway. */
export async function mint(user, ttl = '1h') {
  const child = spawn(binary, ['token', 'mint', '-f', resource, '--user', user, '--ttl', ttl], { stdio: ['ignore', 'pipe', 'ignore'] });
  let token = '';
  child.stdout.on('data', (data) => (token += data));
  await once(child, 'close');
  return token.trim();
}

/** A client that is closed with the test; what it tells of is kept in `seen`. */
export function open(t, url, options) {
  const client = connect(url, options);
  const seen = { states: [], gaps: [], errors: [] };
  client.on('state', ({ state, resumed }) => seen.states.push(resumed ? 'resumed' : state));
  client.on('gap', (gap) => seen.gaps.push(gap));
  client.on('error', (error) => seen.errors.push(error));
  t.after(() => client.close());
  return Object.assign(client, { seen });
}

export const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** Waits for a condition. */
export async function until(condition, what, patience = 30_000) {
  const deadline = Date.now() + patience;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`it did not come to it in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
