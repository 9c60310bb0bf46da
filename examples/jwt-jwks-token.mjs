// Stands for the identity provider of jwt-jwks.yaml: prints a token for a user, with more claims as JSON.
//
//   node jwt-jwks-token.mjs ann '{"roles": ["editor"]}'
//   KID=second node jwt-jwks-token.mjs bob
//
// Its private keys can be read below, so the public ones in jwt-jwks.yaml are for trials and nothing else.

import { createPrivateKey, sign } from 'node:crypto';

// Any 32 bytes are a private key of Ed25519.
const KEYS = {
  first: 'for-trials-only-0123456789abcdef',
  second: 'for-trials-only-fedcba9876543210',
};
// What PKCS #8 has before them (RFC 8410, section 7).
const HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

const [user, claims = '{}'] = process.argv.slice(2);
const kid = process.env.KID ?? 'first';
if (!user || !KEYS[kid]) {
  console.error(`usage: [KID=${Object.keys(KEYS).join('|')}] node jwt-jwks-token.mjs USER [CLAIMS]`);
  process.exit(64);
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const body = {
  iss: 'https://id.example.com/',
  aud: 'members',
  sub: user,
  exp: Math.floor(Date.now() / 1000) + 3600,
  // A channel of one's own: no rule of the gateway is needed for it.
  topics: { subscribe: [`inbox.${user}`], publish: [] },
  ...JSON.parse(claims),
};
const signed = `${encode({ alg: 'EdDSA', typ: 'JWT', kid })}.${encode(body)}`;
const key = createPrivateKey({ key: Buffer.concat([HEAD, Buffer.from(KEYS[kid])]), format: 'der', type: 'pkcs8' });
console.log(`${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`);
