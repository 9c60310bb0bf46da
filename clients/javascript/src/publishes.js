// Publishes without an ack: sent again with the same messageId until the gateway has decided.

import { backoff } from './backoff.js';
import { GatewayError } from './errors.js';
import { PUBLISHES, PUBLISH_CHARACTERS } from './limits.js';

export class Publishes {
  #command;
  /** In the order in which they were asked for. */
  #waiting = new Set();
  #characters = 0;

  /** `command(frame, answered, refused)` sends, where there is a connection to send on. */
  constructor(command) {
    this.#command = command;
  }

  get size() {
    return this.#waiting.size;
  }

  add(topic, payload, { messageId = newMessageId(), signal } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const frame = { type: 'publish', topic, messageId, payload };
      const characters = JSON.stringify(frame).length;
      if (this.#waiting.size >= PUBLISHES || this.#characters + characters > PUBLISH_CHARACTERS) {
        const message = `${this.#waiting.size} publishes wait for their ack: wait for some before you publish more`;
        throw new GatewayError('BUSY', message, { topic, retryable: true });
      }
      const entry = { frame, characters, resolve, reject, signal, tries: 0 };
      entry.abort = () => this.#settle(entry, () => reject(signal.reason));
      signal?.addEventListener('abort', entry.abort);
      this.#waiting.add(entry);
      this.#characters += characters;
      this.#send(entry);
    });
  }

  /** A connection is ready: everything without an ack is sent on it. */
  opened() {
    for (const entry of this.#waiting) this.#send(entry);
  }

  /** The gateway took a frame for too large: the largest will not be sent again. */
  tooLarge() {
    const [largest] = [...this.#waiting].sort((a, b) => b.characters - a.characters);
    if (!largest) return;
    const { topic } = largest.frame;
    const message = `a publish of ${largest.characters} characters is more than the gateway takes: publish less at once`;
    this.#settle(largest, () => largest.reject(new GatewayError('LIMIT_EXCEEDED', message, { topic })));
  }

  end(error) {
    for (const entry of [...this.#waiting]) this.#settle(entry, () => entry.reject(error));
  }

  #send(entry) {
    clearTimeout(entry.timer);
    entry.timer = undefined;
    this.#command(
      entry.frame,
      ({ messageId, status, seqNo }) => this.#settle(entry, () => entry.resolve({ messageId, status, seqNo })),
      (frame) => this.#refused(entry, GatewayError.of({ topic: entry.frame.topic, ...frame })),
    );
  }

  #refused(entry, error) {
    if (!this.#waiting.has(entry)) return;
    if (!error.retryable) {
      this.#settle(entry, () => entry.reject(error));
      return;
    }
    entry.timer = setTimeout(() => this.#send(entry), backoff(entry.tries));
    entry.tries += 1;
  }

  #settle(entry, then) {
    if (!this.#waiting.delete(entry)) return;
    clearTimeout(entry.timer);
    entry.signal?.removeEventListener('abort', entry.abort);
    this.#characters -= entry.characters;
    then();
  }
}

/** 128 random bits; `crypto.randomUUID` is absent on pages that are not secure. */
export function newMessageId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
