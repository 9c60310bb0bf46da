// The issuer: prints a token for a user, with more claims as JSON.
//
//   TOKEN_KEY=… node token.js ann '{"roles": ["trader"]}'

import { createHmac } from 'node:crypto';

const [user, claims = '{}'] = process.argv.slice(2);
const key = process.env.TOKEN_KEY;
if (!user || !key) {
  console.error('usage: TOKEN_KEY=<the key in the Secret desk-token-key> node token.js USER [CLAIMS]');
  process.exit(64);
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = Math.floor(Date.now() / 1000);
const body = {
  iss: 'https://id.desk.example',
  aud: 'desk',
  sub: user,
  exp: now + 3600,
  // A channel of one's own: no rule of the gateway is needed for it.
  topics: { subscribe: [`orders.${user}`], publish: [`orders.${user}`] },
  ...JSON.parse(claims),
};
const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(body)}`;
console.log(`${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`);
