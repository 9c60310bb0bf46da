// One topic or pattern of a client: from its frames to its application, over any number of connections.

import { Acks } from './acks.js';
import { backoff } from './backoff.js';
import { GatewayError } from './errors.js';
import { Feed } from './feed.js';
import { PatternFeed } from './pattern-feed.js';
import { Queue } from './queue.js';
import { isPattern } from './topic.js';

export class Stream {
  /** `new`, `asked` (no `subscribed` yet on this connection), `live` or `ended`. */
  state = 'new';
  #host;
  #options;
  #queue = new Queue();
  /** The gateway has said `subscribed` at least once. */
  #began = false;
  #tries = 0;
  #timer;
  #readied;
  #ended;

  /** `host`: `{ command, send, began(subscribed), replay, report(gap), fail(error), ended(stream, error) }`. */
  constructor(topic, options, host) {
    this.topic = topic;
    this.isPattern = isPattern(topic);
    this.#options = options;
    this.#host = host;
    this.feed = this.isPattern ? new PatternFeed(topic, options) : new Feed(topic, options);
    this.acks = new Acks(topic, (frame) => host.send(frame));
    this.ready = new Promise((resolve, reject) => (this.#readied = { resolve, reject }));
    this.closed = new Promise((resolve) => (this.#ended = resolve));
    // Whoever does not wait for it learns it from the messages.
    this.ready.catch(() => {});
  }

  /** Position that the next connection goes on after: what could not be processed is to come once more. */
  get resumeAfter() {
    return Math.min(this.feed.position, this.acks.before);
  }

  get #room() {
    return this.feed.bounds.queued - this.#queue.length;
  }

  /** Asks for the topic: from where it was left, or as the application wants it. */
  subscribe() {
    this.state = 'asked';
    const { fromSeq, last } = this.#options;
    let from = this.#began ? {} : { fromSeq, last };
    if (this.feed.resumable) from = { fromSeq: this.resumeAfter + 1, epoch: this.feed.epoch };
    this.#host.command(
      { type: 'subscribe', topic: this.topic, ...from },
      (frame) => this.subscribed(frame),
      (frame) => this.refused(frame),
    );
  }

  /** `resume` or the address has asked for it. */
  asked() {
    this.state = 'asked';
  }

  subscribed(frame) {
    if (this.state === 'ended' || this.state === 'new') return;
    const { resumable, position } = this.feed;
    const asked = resumable ? this.resumeAfter : undefined;
    const items = this.feed.begin(frame, asked);
    this.#host.began(frame);
    if (this.#began && this.state === 'asked' && !resumable) items.push({ gap: { topic: this.topic, reason: 'disconnected' } });
    if (this.feed.position < position) this.acks.reset();
    this.state = 'live';
    this.#began = true;
    this.#tries = 0;
    const { seqNo = 0, recoverable = false, recovered } = frame;
    this.#readied.resolve({ seqNo, recoverable, recovered });
    // Nobody asked for what could not be processed before the connection was lost.
    if (recovered === undefined && asked < position && this.feed.position === position) this.#handleAgain(asked + 1, position);
    this.#settle(items);
  }

  refused(frame) {
    if (this.state === 'ended') return;
    const error = GatewayError.of({ topic: this.topic, ...frame });
    if (error.code === 'HISTORY_UNAVAILABLE' && this.#began && this.feed.resumable) {
      // The topic has lost its history: go on without.
      this.#settle(this.feed.begin({ recoverable: false }));
      this.#began = false;
      this.#options = { ...this.#options, fromSeq: undefined, last: undefined };
      this.subscribe();
    } else if (error.retryable && this.state === 'live') {
      this.#host.fail(error);
    } else if (error.retryable) {
      this.#again(() => this.subscribe());
    } else {
      this.end(error);
    }
  }

  message(message) {
    if (this.state !== 'live') return;
    const seen = message.seqNo <= this.feed.position;
    if (seen && this.#options.autoAck && this.acks.again(message) && this.#room > 0) this.#queue.push({ message });
    else this.#settle(this.feed.take(message, this.#room));
  }

  gap(gap) {
    if (this.state !== 'live') return;
    this.acks.lost(gap);
    this.#settle(this.feed.lose(gap, this.#room));
  }

  /** The connection is lost. */
  interrupted() {
    clearTimeout(this.#timer);
    if (this.state === 'ended') return;
    this.feed.interrupted();
    this.state = 'new';
  }

  /** No more messages; with an error, what waits can still be taken. */
  end(error) {
    if (this.state === 'ended') return;
    clearTimeout(this.#timer);
    this.state = 'ended';
    this.acks.flush();
    if (!error) this.#queue.clear(); // Whoever left does not want what waits.
    this.#queue.end(error);
    const reason = error ?? new GatewayError('CLOSED', 'the subscription was ended', { topic: this.topic });
    this.#readied.reject(reason);
    this.#ended(error);
    this.#host.ended(this, error);
  }

  /** The messages, for a loop; left by `break`, the subscription ends. */
  async *messages() {
    try {
      for (;;) {
        const message = await this.#next();
        if (message === undefined) return;
        yield message;
        if (this.#options.autoAck) this.acks.done(message);
      }
    } finally {
      this.end();
    }
  }

  /** Gives the messages to a handler, one after the other. */
  async deliver(handler) {
    try {
      for (let message = await this.#next(); message !== undefined; message = await this.#next()) {
        await this.#handle(handler, message);
      }
    } catch (error) {
      this.#host.fail(error);
    }
  }

  async #handle(handler, message) {
    try {
      await handler(message);
    } catch (cause) {
      if (this.#options.autoAck) this.acks.failed(message);
      this.#host.fail(new GatewayError('USAGE', 'the handler failed', { topic: this.topic, cause }));
      return;
    }
    if (this.#options.autoAck) this.acks.done(message);
  }

  /** The next message; gaps before it are reported. */
  async #next() {
    for (;;) {
      const item = await this.#queue.next();
      if (this.state === 'live') this.#settle(this.feed.drain(this.#room));
      if (!item?.gap) return item?.message;
      this.#report(item.gap);
    }
  }

  #report(gap) {
    try {
      this.#options.onGap?.(gap);
    } catch (cause) {
      this.#host.fail(new GatewayError('USAGE', '`onGap` failed', { topic: this.topic, cause }));
    }
    this.#host.report(gap);
  }

  /** Passes on what the rule gave, and asks for what it misses. */
  #settle(items) {
    for (const item of items) this.#queue.push(item);
    if (this.state !== 'live') return;
    const range = this.feed.ask(this.#room);
    if (!range) return;
    this.#host.replay({
      ...range,
      topic: this.topic,
      answered: (frame) => {
        this.#tries = 0;
        this.#settle(this.feed.repaired(frame, this.#room));
      },
      refused: (error) => {
        const busy = error.code === 'LIMIT_EXCEEDED';
        const passing = error.retryable || busy;
        const given = this.feed.refused(passing, this.#room, busy);
        if (given.length > 0 || !passing) return this.#settle(given);
        this.#again(() => {
          this.feed.rested();
          this.#settle([]);
        });
      },
    });
  }

  /** Messages that were seen come to the handlers that failed, and to no other. */
  #handleAgain(fromSeq, toSeq) {
    this.#host.replay({ topic: this.topic, fromSeq, toSeq, answered: () => {}, refused: (error) => this.#host.fail(error) });
  }

  #again(action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, backoff(this.#tries));
    this.#tries += 1;
  }
}
