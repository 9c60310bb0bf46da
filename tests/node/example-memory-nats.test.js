// examples/memory.yaml and examples/nats.yaml: the two that are a gateway and nothing else.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';

import { Client, startGateway } from './gateway.js';
import { newFolder, path, run, serve, start, withoutNats } from './programs.js';

const folder = newFolder();
after(() => folder.remove());

test('the gateway in memory does what its first lines say', async (t) => {
  const gateway = await startGateway('-f', path('examples/memory.yaml'));
  t.after(() => gateway.stop('SIGINT'));
  const reader = await Client.open(`${gateway.url}/ws`);
  reader.send({ type: 'subscribe', topic: 'news.today' });
  assert.equal((await reader.expect('error')).code, 'ACL_DENIED');
  reader.send({ type: 'subscribe', topic: 'prices.>' });
  assert.equal((await reader.expect('subscribed')).topic, 'prices.>');
  const published = await run(process.env.TOPIC_GATEWAY, ['pub', 'prices.btc', '{"price": 1}', '--url', gateway.url]);
  assert.equal(published.code, 0, published.stderr);
  const { topic, data } = await reader.expect('message');
  assert.deepEqual([topic, data], ['prices.btc', { price: 1 }]);
});

test('the gateway on NATS logs in there, and lets each user do what the rules say', { skip: withoutNats }, async (t) => {
  // The login that the example's Secret has.
  const config = 'authorization {users: [{user: gateway, password: for-trials-only}]}\n';
  writeFileSync(folder.file('nats.conf'), config);
  const args = ['-c', folder.file('nats.conf'), '-a', '127.0.0.1', '-p', '-1'];
  const nats = await start(/Listening for client connections on ([\d.]+:\d+)/, process.env.NATS_SERVER_BIN, args);
  t.after(() => nats.stop());
  const example = readFileSync(path('examples/nats.yaml'), 'utf8');
  assert.ok(example.includes('nats://localhost:4222'));
  const gateway = await serve(folder, example.replace('nats://localhost:4222', `nats://${nats.found[1]}`));
  t.after(() => gateway.stop('SIGINT'));
  const setUp = async (user, claim, ...topics) => {
    const mint = ['token', 'mint', '-f', path('examples/nats.yaml'), '--user', user, '--claim', claim];
    const { code, stdout, stderr } = await run(process.env.TOPIC_GATEWAY, mint);
    assert.equal(code, 0, stderr);
    const client = await Client.open(`${gateway.url}/ws`);
    client.send({ type: 'setup', token: stdout.trim(), topics });
    assert.equal((await client.expect('ready')).userId, user);
    return client;
  };
  const trader = await setUp('ann', 'roles=["trader"]', 'prices.btc', 'risk.limits');
  for (const _ of [1, 2]) await trader.expect('subscribed');
  const other = await setUp('bob', 'roles=[]', 'risk.limits');
  assert.equal((await other.expect('error')).code, 'ACL_DENIED');
  const feed = await setUp('feed', 'tier="internal"');
  feed.send({ type: 'publish', topic: 'prices.btc', messageId: '1', payload: { bid: 1 } });
  assert.equal((await feed.expect('ack')).status, 'ok');
  assert.deepEqual((await trader.expect('message')).data, { bid: 1 });
});
