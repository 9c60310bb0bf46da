// What people get wrong: said in words with what to do next, and mended without starting the program again.

import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';

import { GatewayError } from '../src/index.js';
import { mint, open as connected, resource, startGateway, startRelay, until, without } from './gateway.js';

let gateway;
let token;
before(async () => {
  if (without) return;
  gateway = await startGateway({ file: resource });
  token = await mint('ann');
});
after(() => gateway?.stop('SIGKILL'));

const scenario = (sentence, body) => test(sentence, { skip: without }, body);

const open = (t, url = gateway.url, options = { token }) => connected(t, url, options);

const told = (client) => new Promise((resolve) => client.on('state', ({ reason }) => reason && resolve(reason)));

for (const [what, url] of [
  ['text that is no address', 'nonsense'],
  ['a scheme that is no WebSocket', 'ftp://127.0.0.1/ws'],
]) {
  scenario(`${what} ends the client with an example of a right one`, async (t) => {
    const client = open(t, url);
    await assert.rejects(client.ready(), { name: 'GatewayError', code: 'USAGE', message: /give one like ws:\/\/host:8080\/ws/ });
    assert.equal(client.state, 'closed');
    assert.equal(client.seen.errors.length, 1);
  });
}

scenario('a port where nobody listens, and a path that is none, are said with the address, and tried again', async (t) => {
  const { url, stop } = await startGateway({ file: resource });
  await stop('SIGKILL');
  for (const wrong of [url, gateway.url.replace('/ws', '/nowhere')]) {
    const client = open(t, wrong);
    const reason = await told(client);
    assert.match(reason, new RegExp(`^no gateway answers at ${wrong}: see that it is running, and that the address is right`));
    assert.notEqual(client.state, 'closed');
  }
});

scenario('whoever does not listen to `state` reads in the console that no gateway answers, once', async (t) => {
  const warn = mock.method(console, 'warn', () => {});
  t.after(() => warn.mock.restore());
  const { connect } = await import('../src/index.js');
  const client = connect(gateway.url.replace('/ws', '/nowhere'));
  t.after(() => client.close());
  await until(() => warn.mock.callCount() > 0, 'the warning');
  await until(() => client.state === 'connecting', 'another try');
  await until(() => client.state === 'waiting', 'the end of another try');
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /no gateway answers at .* it is tried again$/);
});

scenario('a wrong token ends the client, and another client with a right one goes on', async (t) => {
  const client = open(t, gateway.url, { token: `${token}x` });
  await assert.rejects(client.ready(), { code: 'AUTH_FAILED', message: /AUTH_FAILED/, next: 'give `connect` a token that is valid now' });
  await assert.rejects(client.publish('open.a', 1), { code: 'AUTH_FAILED' });
  assert.throws(() => client.subscribe('open.a', () => {}), { code: 'AUTH_FAILED' });
  assert.equal((await open(t).publish('open.a', 1)).status, 'ok');
});

scenario('a gateway that is away is waited for, and what was asked for meanwhile is done', async (t) => {
  const { url, host, port, stop } = await startGateway({ file: resource });
  await stop('SIGKILL');
  const relay = await startRelay({ host, port });
  t.after(() => relay.stop());
  const client = open(t, relay.url);
  const got = [];
  client.subscribe('open.away', ({ data }) => got.push(data)).ready.catch(() => {});
  const published = client.publish('open.late', 1);
  await told(client);
  relay.target = gateway;
  assert.equal((await published).status, 'ok');
  await client.publish('open.away', 2);
  await until(() => got.length > 0, `the message, after ${url}`);
  assert.deepEqual([got, client.seen.errors], [[2], []]);
});

scenario('a message that is too large, and a topic without right, are refused alone', async (t) => {
  const client = open(t);
  const got = [];
  await client.subscribe('open.rest', ({ data }) => got.push(data)).ready;
  const refused = async (call) => call.then(() => assert.fail('it was to be refused'), (error) => error);
  const errors = await Promise.all([
    refused(client.publish('open.rest', 'x'.repeat(3_000))),
    refused(client.publish('secret', 1)),
    refused(client.subscribe('secret', () => {}).ready),
    refused(client.publish('a..b', 1)),
  ]);
  assert.deepEqual(errors.map(({ code }) => code), ['LIMIT_EXCEEDED', 'ACL_DENIED', 'ACL_DENIED', 'TOPIC_INVALID']);
  for (const error of errors) {
    assert.ok(error instanceof GatewayError && !error.retryable);
    assert.match(error.message, /^[a-z.]+: .*\([A-Z_]+\)(: .*)?$/);
    assert.ok(error.next.length > 10 && error.topic);
  }
  assert.equal((await client.publish('open.rest', 'x')).status, 'ok');
  await until(() => got.length > 0, 'the message that is allowed');
  assert.deepEqual([got, client.state], [['x'], 'open']);
});
