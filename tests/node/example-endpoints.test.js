// examples/endpoints: its README is read, and what stands there is run: JavaScript with a WebSocket, commands by a shell.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { Client, startGateway, WebSocket } from './gateway.js';
import { path, run, until } from './programs.js';

const readme = readFileSync(path('examples/endpoints/README.md'), 'utf8');
const sections = new Map(readme.split('\n## ').map((text) => [text.split('\n')[0].replaceAll('`', ''), text]));

// The blocks of a language in the section under this heading.
const blocks = (heading, language) => {
  assert.ok(sections.has(heading), `the README has no ${heading}`);
  const found = [...sections.get(heading).matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))];
  assert.ok(found.length > 0, `${heading} shows no ${language}`);
  return found.map(([, text]) => text.trim());
};

let gateway;
let address;
const many = [];
const one = [];
before(async () => {
  gateway = await startGateway('-f', path('examples/endpoints/gateway.yaml'));
  address = new URL(gateway.url).host;
});
after(() => gateway?.stop('SIGINT'));

// As in the README, at the port that the gateway has here.
const here = (text) => text.replaceAll('127.0.0.1:8080', address);

// Runs a block of JavaScript; what it prints goes to `printed` as frames.
const evaluate = (heading, printed) => {
  const console = { log: (text) => printed.push(JSON.parse(text)) };
  new Function('WebSocket', 'console', here(blocks(heading, 'js')[0]))(WebSocket, console);
};

// Runs each command of a section; gives what they print.
const commands = async (heading) => {
  const lines = blocks(heading, 'sh').flatMap((block) => block.split('\n'));
  const printed = [];
  for (const line of lines) {
    const { code, stdout, stderr } = await run('bash', ['-c', here(line).replace(/^curl /, 'curl --silent --show-error ')]);
    // 28: the time that `--max-time` gives is over.
    assert.ok(code === 0 || (code === 28 && line.includes('--max-time')), `${line}: ${code} ${stderr}`);
    printed.push(stdout);
  }
  return printed;
};

const types = (frames) => frames.map(({ type }) => type);

test('the topics are many on /ws', async () => {
  evaluate('/ws: many topics', many);
  await until('its five frames', () => many.length >= 5);
  assert.deepEqual(types(many).sort(), ['ack', 'message', 'ready', 'subscribed', 'subscribed']);
  assert.equal(many.find(({ type }) => type === 'message').data, 'hello');
});

test('the topic stands in the address of /ws/sub/{topic}', async () => {
  evaluate('/ws/sub/{topic}: one topic', one);
  await until('it is subscribed', () => one.length > 0);
  assert.deepEqual([one[0].type, one[0].topic], ['subscribed', 'prices.btc']);
});

test('/demo/publish/{topic} reaches both, and counts once', async () => {
  const heading = '/demo/publish/{topic}: from the address bar';
  const answers = (await commands(heading)).map((text) => JSON.parse(text));
  assert.deepEqual(answers.map(({ status }) => status), ['ok', 'duplicate']);
  const expected = JSON.parse(blocks(heading, 'json')[0]);
  for (const frames of [many, one]) {
    const prices = () => frames.filter(({ type, topic }) => type === 'message' && topic === 'prices.btc');
    await until('the message', () => prices().length > 0);
    assert.deepEqual(prices(), [expected]);
  }
});

test('/publish/{topic} and /sse do without a WebSocket', async () => {
  const before = many.length;
  const [answer, events] = await commands('The same without a WebSocket');
  const { status, messageId } = JSON.parse(answer);
  assert.deepEqual([status, messageId], ['ok', 'post-1']);
  await until('the message', () => many.length > before);
  assert.deepEqual(many.at(-1).data, { text: 'hello' });
  for (const topic of ['prices.btc', 'chat.*']) {
    assert.match(events, new RegExp(`^data: ?\\{"type":"subscribed","topic":"${topic.replace('*', '\\*')}"`, 'm'));
  }
});

test('/stats counts what is open', async () => {
  const expected = JSON.parse(blocks('/stats', 'json')[0]);
  // The stream of the test before may not be gone yet.
  await until('both sockets, and no other', async () => isDeepStrictEqual(JSON.parse((await commands('/stats'))[0]), expected));
});

test('/docs is a page, and /openapi.json describes every endpoint of the table', async () => {
  const page = await fetch(`http://${address}/docs`);
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type'), /^text\/html/);
  assert.match(await page.text(), /<html/);
  const document = JSON.parse((await commands('/docs and /openapi.json'))[0]);
  assert.match(document.openapi, /^3\.1/);
  const table = [...readme.matchAll(/^\| \[(.*?)\]/gm)].flatMap(([, cell]) => [...cell.matchAll(/`(.*?)`/g)]);
  const endpoints = table.map(([, endpoint]) => endpoint).filter((endpoint) => !['/docs', '/openapi.json'].includes(endpoint));
  assert.deepEqual(Object.keys(document.paths).sort(), endpoints.sort());
});

test('plain `dev` has the same endpoints', async (t) => {
  const plain = await startGateway();
  t.after(() => plain.stop('SIGINT'));
  const base = plain.url.replace(/^ws/, 'http');
  for (const place of ['/docs', '/openapi.json', '/stats', '/demo/publish/a?b=1']) {
    assert.equal((await fetch(base + place)).status, 200, place);
  }
  const client = await Client.open(`${plain.url}/ws/sub/a`);
  await client.expect('subscribed');
});
