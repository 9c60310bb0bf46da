// The real binary, on free ports; and a relay in front of it whose connections can be cut.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, createServer } from 'node:net';
import { createInterface } from 'node:readline';

export const binary = process.env.TOPIC_GATEWAY_BIN;

/** Why there can be no integration test; false if there can. */
export const without =
  binary === undefined
    ? 'TOPIC_GATEWAY_BIN names no topic-gateway'
    : globalThis.WebSocket === undefined && 'there is no WebSocket: Node 22, or 20 with --experimental-websocket';

/** Starts `topic-gateway dev`; `stop` ends it. */
export async function startGateway(...options) {
  const args = ['dev', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...options];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^\s*gateway\s.*http:\/\/([\d.]+):(\d+)/.exec(line);
    if (!found) continue;
    child.stdout.resume();
    const stop = async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return (await exit)[0];
    };
    return { host: found[1], port: Number(found[2]), url: `ws://${found[1]}:${found[2]}/ws`, stop };
  }
  throw new Error('the gateway ended before it printed its address');
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

/** Waits for a condition. */
export async function until(condition, what, patience = 30_000) {
  const deadline = Date.now() + patience;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`it did not come to it in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
