// What an HTTP endpoint answers, and what is wrong in words.

import { GatewayError } from './client/errors.js';

/**
 * Asks; gives `status` (undefined where nobody answers) and `ack`, or where it is refused `problem` in words, the `topic` it
 * is about and `retryAfter` in milliseconds. The body of a stream is not read.
 */
export async function ask(url, options = {}) {
  const controller = new AbortController();
  try {
    const answer = await fetch(url, { ...options, signal: controller.signal });
    if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return await read(url, answer);
    controller.abort();
    return { status: answer.status };
  } catch {
    return { problem: away(url) };
  }
}

const read = async (url, answer) => {
  const { status, headers } = answer;
  const body = await answer.json().catch(() => undefined);
  if (body?.type === 'ack') return { status, ack: body };
  if (body?.type !== 'error') return { status, problem: stranger(url, status) };
  const retryAfter = headers.has('retry-after') ? Number(headers.get('retry-after')) * 1000 : undefined;
  return { status, topic: body.topic, problem: `${GatewayError.of(body).message}.`, retryAfter };
};

/** Nobody has answered. A browser does not say either where a gateway has, but does not admit the page. */
export const away = (url) => {
  const { origin } = new URL(url);
  const other = origin === location.origin ? '' : `, and that its listeners.allowedOrigins has ${location.origin}`;
  return `no gateway answers at ${origin}: see that it is running, that the address is right (http or https, host, port)${other}.`;
};

const stranger = (url, status) => `${new URL(url).origin} answers with ${status}, but not as a gateway does: correct the address, and connect again.`;
