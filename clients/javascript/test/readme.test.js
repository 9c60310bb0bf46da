// The README's examples are run as they stand there, by somebody who has installed the package.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { mint, open, startGateway, until, without } from './gateway.js';
import { blocks, installPacked } from './packed.js';

const resource = `
apiVersion: topicgateway.io/v1alpha1
kind: TopicGateway
metadata: {name: readme}
spec:
  backbone: {memory: {}}
  authentication:
    anonymous: Allow
    jwt:
    - issuer: https://id.test.example
      audiences: [test]
      algorithms: [HS256]
      secretRef: {name: readme-key, key: key}
  authorization:
  - {users: ["*"], subscribe: ["prices.*"], publish: ["prices.*"]}
  - {users: [ann], subscribe: [orders], publish: [orders]}
  topics:
  - {pattern: orders, delivery: AtLeastOnce}
---
apiVersion: v1
kind: Secret
metadata: {name: readme-key}
stringData: {key: for-trials-only-0123456789abcdef}
`;

let gateway;
let installed;
let application;
before(async () => {
  if (without) return;
  gateway = await startGateway({ text: resource });
  installed = await installPacked();
  const token = await mint('ann');
  application = createServer((_, response) => response.end(token)).listen(0, '127.0.0.1');
  await once(application, 'listening');
});
after(async () => {
  application?.close();
  installed?.remove();
  await gateway?.stop('SIGKILL');
});

const scenario = (sentence, body) => test(sentence, { skip: without }, body);

// As in the README, at the addresses that there are here.
const run = (t, at) => {
  const text = blocks('js')[at]
    .replaceAll('ws://localhost:8080/ws', gateway.url)
    .replaceAll('wss://gateway.example.com/ws', gateway.url)
    .replaceAll('https://app.example.com/token', `http://127.0.0.1:${application.address().port}/token`);
  const program = installed.run(`readme-${at}.mjs`, text);
  t.after(program.stop);
  return program;
};

scenario('there are two', () => assert.equal(blocks('js').length, 2));

scenario('the first one subscribes, publishes, loops, replays and ends', async (t) => {
  const program = run(t, 0);
  let ended = false;
  program.ended.then(() => (ended = true));
  // The loop waits for a price from somewhere else.
  const publisher = open(t, gateway.url);
  while (!ended) await publisher.publish('prices.eth', { price: 200 });
  assert.equal(await program.ended, 0, program.printed);
  assert.match(program.printed, /^1 101$/m);
  assert.match(program.printed, /^prices.eth 200$/m);
});

scenario('the second one fetches a token, handles what it has published, and tells of its state', async (t) => {
  const program = run(t, 1);
  await until(() => /saved/.test(program.printed), () => program.printed);
  assert.match(program.printed, /^open/m);
  assert.match(program.printed, /^saved 1 { item: 'tea' }$/m);
  const client = open(t, gateway.url, { token: await mint('ann') });
  assert.equal((await client.publish('orders', { item: 'tea' }, { messageId: 'order-17' })).status, 'duplicate');
});
