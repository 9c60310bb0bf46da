// What the examples need around a gateway: a nats-server, programs in Node, commands of a shell.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { connect } from '../../clients/javascript/src/index.js';
import { startGateway, WebSocket } from './gateway.js';

const DEADLINE = 20_000;

/** Why there can be no test with NATS; false if there can. */
export const withoutNats = !process.env.NATS_SERVER_BIN && 'NATS_SERVER_BIN names no nats-server';

/** The path of something in the repository. */
export const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** A new folder, and how to remove it. */
export function newFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'topic-gateway-example-'));
  return { file: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Serves what these documents of YAML declare. */
export async function serve(folder, ...documents) {
  const file = folder.file('gateway.yaml');
  writeFileSync(file, documents.join('\n---\n'));
  return startGateway('-f', file);
}

/** Starts a program and waits for a line that matches; gives the match as `found`, all lines so far, and `stop`. */
export async function start(pattern, file, args, options = {}) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const exit = once(child, 'exit');
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return (await exit)[0];
  };
  const lines = [];
  let resolve;
  const found = new Promise((done) => (resolve = done));
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      lines.push(line);
      const match = pattern.exec(line);
      if (match) resolve(match);
    });
  }
  const ended = exit.then(() => undefined);
  const match = await Promise.race([found, ended, wait(DEADLINE)]);
  if (match) return { found: match, lines, stop, ended: exit.then(([code]) => code) };
  await stop('SIGKILL');
  throw new Error(`${file} ${args.join(' ')} said nothing that matches ${pattern}: ${lines.join('\n')}`);
}

/** A nats-server on a free port, with streams in the folder. */
export async function startNats(folder) {
  const args = ['-a', '127.0.0.1', '-p', '-1', '--jetstream', '--store_dir', folder.file('streams')];
  const nats = await start(/Listening for client connections on ([\d.]+:\d+)/, process.env.NATS_SERVER_BIN, args);
  return { url: `nats://${nats.found[1]}`, stop: nats.stop };
}

/** Runs a program to its end; gives `{ code, stdout, stderr }`. */
export async function run(file, args, options) {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, args, { timeout: DEADLINE, ...options });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds).unref());

/** Waits until a condition gives something, and gives that. */
export async function until(what, condition) {
  const deadline = Date.now() + DEADLINE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it did not come to it in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The JavaScript client, closed with the test: else it would connect again for ever. Node 20 has no WebSocket of its own. */
export function connectFor(t, gateway, options = { WebSocket }) {
  const client = connect(`${gateway.url}/ws`, options);
  t.after(() => client.close());
  return client;
}
