// Colours, and what is told beside messages, are for terminals: `script` of util-linux gives the commands one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';

import { Client, startGateway } from './gateway.js';
import { run, start, until } from './programs.js';

const version = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '';
const skip = !version.includes('util-linux') && 'there is no script (package util-linux) to make a terminal with';

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop('SIGINT'));

// The environment of a terminal with colours.
const { NO_COLOR, ...plain } = process.env;
const env = { ...plain, TERM: 'xterm' };

// How `script` is called to give a command of the program a terminal.
const onTerminal = (args) => {
  const quoted = [process.env.TOPIC_GATEWAY, ...args].map((word) => `'${word}'`).join(' ');
  return ['-qec', quoted, '/dev/null'];
};

// What a command writes, both streams together, to a terminal.
const shown = async (args, more = {}) => {
  const { code, stdout, stderr } = await run('script', onTerminal(args), { env: { ...env, ...more } });
  assert.equal(code, 0, stdout + stderr);
  return stdout.replaceAll('\r\n', '\n');
};

const published = async () => {
  const answer = await fetch(`${gateway.url.replace(/^ws/, 'http')}/publish/a`, { method: 'POST', body: '1' });
  assert.equal(answer.status, 200);
};
const sub = () => ['sub', 'a', '--last', '1', '--count', '1', '--url', `${gateway.url}/ws`];

test('on a terminal messages and help have colours, and a subscription is told of', { skip }, async () => {
  await published();
  assert.match(await shown(sub()), /^subscribed to a\n\u001b\[36ma\u001b\[0m \u001b\[2m\d+\u001b\[0m 1\n$/);
  assert.match(await shown(['sub', '--help']), /\u001b\[/);
});

test('with NO_COLOR, and where the terminal is dumb, they have none', { skip }, async () => {
  await published();
  for (const more of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    assert.match(await shown(sub(), more), /^subscribed to a\na \d+ 1\n$/);
    assert.doesNotMatch(await shown(['sub', '--help'], more), /\u001b/);
  }
});

test('`dev` shows what goes on', { skip }, async (t) => {
  const dev = onTerminal(['dev', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
  const { found, lines, stop } = await start(/gateway +http:\/\/([\d.:]+)/, 'script', dev, { env });
  t.after(() => stop());
  const client = await Client.open(`ws://${found[1]}/ws`);
  t.after(() => client.socket.close());
  await until('the connection is counted', () => lines.some((line) => line.includes('connections 1  topics 0')));
});

test('a pipe gets neither', async () => {
  await published();
  const options = { env: { ...env, CLICOLOR_FORCE: '1' } };
  const { stdout, stderr } = await run(process.env.TOPIC_GATEWAY, sub(), options);
  assert.match(stdout, /^a \d+ 1\n$/);
  assert.equal(stderr, '');
  const help = await run(process.env.TOPIC_GATEWAY, ['--help'], options);
  assert.doesNotMatch(help.stdout, /\u001b/);
});
