// What a close code asks of a client.

const SLOW = 4; // as after four failed attempts
const RECONNECT = { again: true, tries: 0 };
/** The code of a connection that ended without one. */
const ABNORMAL = 1006;

const CODES = new Map([
  [1002, { again: true, tries: SLOW, text: 'the gateway saw a protocol error' }],
  [1003, { again: true, tries: SLOW, text: 'the gateway refused a binary frame' }],
  [1007, { again: true, tries: SLOW, text: 'the gateway refused text that is not UTF-8' }],
  [1009, { again: true, tries: 0, text: 'a frame was larger than the gateway takes' }],
  [1012, { again: true, tries: 0, text: 'the gateway is going away' }],
  [1013, { again: true, tries: 1, text: 'the gateway is at capacity' }],
  [4401, { again: false, text: 'the token is missing or has expired: give `token` as a function that yields a fresh one' }],
  [4403, { again: false, text: 'the gateway forbids this origin or user: ask for it to be allowed in the TopicGateway' }],
  [4408, { again: true, tries: 0, text: 'the gateway heard nothing from here' }],
  [4409, { again: true, tries: 0, text: 'the connection was slower than its topics' }],
  [4429, { again: true, tries: SLOW, text: 'the gateway was sent more than it allows: send less' }],
]);

/**
 * Whether to connect again after a close, as after how many failed attempts at least, and what to say.
 * `refreshable`: a function yields tokens, so that an expired one is no end. `opened`: there was a connection to lose.
 */
export function afterClose(code, reason, { url, refreshable, opened }) {
  // Neither a browser nor Node says why no connection was made.
  if (code === ABNORMAL && !opened) return { ...RECONNECT, message: nobody(url) };
  const { again, tries, text } = CODES.get(code) ?? { ...RECONNECT, text: 'the connection was lost' };
  const message = `${text} (${code}${reason ? `, ${reason}` : ''})`;
  if (code === 4401 && refreshable) return { again: true, tries: 0, message };
  return { again, tries: tries ?? 0, message };
}

const nobody = (url) =>
  `no gateway answers at ${url.replace(/\?.*/s, '')}: see that it is running, and that the address is right (ws or wss, host, port, /ws at its end)`;
