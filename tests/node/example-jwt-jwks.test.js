// examples/jwt-jwks.yaml, with the keys beside it in the place of an identity provider's.

import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Client, startGateway } from './gateway.js';
import { path, run } from './programs.js';

let gateway;
before(async () => (gateway = await startGateway('-f', path('examples/jwt-jwks.yaml'))));
after(() => gateway?.stop('SIGINT'));

const tokenOf = async (...args) => {
  const { code, stdout, stderr } = await run(process.env.TOPIC_GATEWAY, ['token', ...args]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
};

const keyFile = (kid) => path(`examples/jwt-jwks-${kid}.pem`);

// As the file says it.
const mint = (kid, user, ...claims) =>
  tokenOf('mint', '-f', path('examples/jwt-jwks.yaml'), '--private-key-file', keyFile(kid), '--kid', kid,
    '--user', user, '--subscribe', `inbox.${user}`, ...claims.flatMap((claim) => ['--claim', claim]));

// As an identity provider signs: whatever it likes.
const signed = (kid, claims) => {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const body = { iss: 'https://id.example.com/', aud: 'members', sub: 'ann', exp, ...claims };
  const text = `${encode({ alg: 'EdDSA', kid })}.${encode(body)}`;
  return `${text}.${sign(null, Buffer.from(text), readFileSync(keyFile(kid))).toString('base64url')}`;
};

const setUp = async (token, ...topics) => {
  const client = await Client.open(`${gateway.url}/ws`);
  client.send({ type: 'setup', token, topics });
  return client;
};

test('a token of either key says who its user is and what it may', async () => {
  const ann = await setUp(await mint('first', 'ann', 'roles=["editor"]'), 'news.today', 'inbox.ann');
  const bob = await setUp(await mint('second', 'bob', 'plan=gold'), 'news.today', 'early.today');
  for (const [client, user] of [[ann, 'ann'], [bob, 'bob']]) {
    assert.equal((await client.expect('ready')).userId, user);
    for (const _ of [1, 2]) await client.expect('subscribed');
  }
  ann.send({ type: 'publish', topic: 'news.today', messageId: '1', payload: 'hello' });
  assert.equal((await bob.expect('message')).data, 'hello');
  bob.send({ type: 'publish', topic: 'news.today', messageId: '2', payload: 'hello' });
  assert.equal((await bob.expect('error')).code, 'ACL_DENIED');
  bob.send({ type: 'subscribe', topic: 'inbox.ann' });
  assert.equal((await bob.expect('error')).code, 'ACL_DENIED');
  bob.send({ type: 'subscribe', topic: 'inbox.bob' });
  assert.equal((await bob.expect('subscribed')).topic, 'inbox.bob');
});

test('what the provider has not signed for this gateway is refused', async () => {
  const [header, body, signature] = (await mint('first', 'ann')).split('.');
  const other = Buffer.from('{"alg":"EdDSA","kid":"second"}').toString('base64url');
  for (const [token, code] of [
    [undefined, 'AUTH_REQUIRED'],
    [signed('first', { aud: 'another' }), 'AUTH_FAILED'],
    [signed('first', { iss: 'https://id.example.com' }), 'AUTH_FAILED'],
    [signed('first', { exp: 1 }), 'AUTH_FAILED'],
    [`${header}.${Buffer.from('{"sub":"ann"}').toString('base64url')}.${signature}`, 'AUTH_FAILED'],
    [`${other}.${body}.${signature}`, 'AUTH_FAILED'],
  ]) {
    const client = await setUp(token, 'news.today');
    assert.equal((await client.expect('error')).code, code);
    client.socket.close();
  }
});

test('`token check` says the same of the file', async () => {
  const check = async (token) =>
    run(process.env.TOPIC_GATEWAY, ['token', 'check', '-f', path('examples/jwt-jwks.yaml'), token]);
  const valid = await check(await mint('first', 'ann'));
  assert.equal(valid.code, 0, valid.stderr);
  assert.match(valid.stderr, /user "ann"/);
  assert.equal((await check(signed('first', {}))).code, 0);
  assert.equal((await check(signed('first', { aud: 'another' }))).code, 77);
});

test('the keys in its Secret are those that `token jwks` makes of the private ones', async () => {
  const [, document] = /jwks\.json: \|\n((?: {4}.*\n)+)/.exec(readFileSync(path('examples/jwt-jwks.yaml'), 'utf8'));
  const made = ['first', 'second'].map((kid) => tokenOf('jwks', '--private-key-file', keyFile(kid), '--kid', kid));
  const keys = (await Promise.all(made)).flatMap((text) => JSON.parse(text).keys);
  assert.deepEqual(keys, JSON.parse(document).keys);
});
