// What the application holds of a topic or pattern.

import { GatewayError } from './errors.js';

export class Subscription {
  #stream;
  #taken;
  #unsubscribe;

  /** For the client alone: call its `subscribe`. */
  constructor(stream, handler, unsubscribe) {
    this.#stream = stream;
    this.#taken = handler !== undefined;
    this.#unsubscribe = unsubscribe;
    if (handler) stream.deliver(handler);
  }

  /** Topic or pattern. */
  get topic() {
    return this.#stream.topic;
  }

  /** What `subscribed` said the first time; rejected if the topic is refused. */
  get ready() {
    return this.#stream.ready;
  }

  /** Resolves at the end: with the error that ended it, or with undefined. */
  get closed() {
    return this.#stream.closed;
  }

  /** Number of the last message of the topic that came here; undefined where there are none. */
  get position() {
    return this.#stream.feed.position;
  }

  /** Whether what is missed can be sent again. */
  get recoverable() {
    return this.#stream.feed.recoverable;
  }

  /** Messages that came twice and were dropped. */
  get doubles() {
    return this.#stream.feed.doubles;
  }

  /** Tells the gateway that this message and all before it were processed. */
  ack(message) {
    this.#stream.acks.done(message);
  }

  /** Ends the subscription; resolves when the gateway knows. */
  unsubscribe() {
    return this.#unsubscribe();
  }

  [Symbol.asyncIterator]() {
    if (this.#taken) {
      throw new GatewayError('USAGE', 'its messages are taken already: use one handler or one loop', { topic: this.topic });
    }
    this.#taken = true;
    return this.#stream.messages();
  }
}
