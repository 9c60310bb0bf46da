// A client of one gateway address: connects, connects again, and keeps what the application wants across connections.

import { backoff } from './backoff.js';
import { afterClose } from './closing.js';
import { Connection } from './connection.js';
import { GatewayError } from './errors.js';
import { Events } from './events.js';
import { CLOSING, RESUMED_TOPICS, SETTLED_TRIES, STABLE } from './limits.js';
import { Publishes } from './publishes.js';
import { Refresh } from './refresh.js';
import { Replays } from './replays.js';
import { Stream } from './stream.js';
import { Subscription } from './subscription.js';
import { isPattern, matches, topicOf } from './topic.js';

export class Client {
  #url;
  /** The topic that the address subscribes to by itself, as soon as a connection is there. */
  #ownTopic;
  #token;
  #WebSocket;
  #state = 'connecting';
  #error;
  #connection;
  /** What `ready` said last. */
  #session;
  /** The newest that a topic was told. */
  #epoch;
  #streams = new Map();
  #patterns = new Set();
  #events = new Events();
  #publishes = new Publishes((...command) => this.#command(...command));
  #replays = new Replays((...command) => this.#command(...command));
  #refresh = new Refresh(() => this.#replaceToken());
  #tries = 0;
  #authFailures = 0;
  #stable;
  #timer;
  /** When a draining gateway wants this client back, in the clock of `performance.now()`. */
  #drained;
  #waiting = new Set();
  /** Called when the gateway knows that a topic is not wanted any more, or is gone itself. */
  #unsubscribing = new Set();
  #reported;
  #warned = false;

  constructor(url, { token, WebSocket = globalThis.WebSocket } = {}) {
    if (WebSocket === undefined) {
      throw new GatewayError('USAGE', 'there is no WebSocket here: use Node 22 or newer, or give one as the option `WebSocket`');
    }
    this.#url = String(url);
    this.#ownTopic = topicOf(this.#url);
    this.#token = token;
    this.#WebSocket = WebSocket;
    this.#open();
  }

  /** `connecting`, `open`, `waiting` (for the next attempt) or `closed`. */
  get state() {
    return this.#state;
  }

  /** The user that the gateway knows this client as; undefined before the first `ready`. */
  get userId() {
    return this.#session?.userId;
  }

  /** Resolves as soon as the connection can be used; rejected when the client is closed. */
  ready() {
    if (this.#state === 'open') return Promise.resolve();
    if (this.#state === 'closed') return Promise.reject(this.#closedError());
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }

  /** Calls a listener at every `state`, `gap` or `error`; gives the function that takes it away. */
  on(name, listener) {
    return this.#events.on(name, listener);
  }

  /** Receives a topic or pattern: with a handler, or as an async iterable. */
  subscribe(topic, handler, options = {}) {
    if (typeof handler === 'object' && handler !== null) {
      if (typeof options === 'function') {
        throw new GatewayError('USAGE', 'the handler comes before the options: subscribe(topic, handler, options)', { topic });
      }
      return this.subscribe(topic, undefined, handler);
    }
    if (this.#state === 'closed') throw this.#closedError();
    checkSubscribe(topic, handler, options);
    if (topic === this.#ownTopic && (options.fromSeq ?? options.last) !== undefined) {
      throw new GatewayError('USAGE', 'the address subscribes to it from now on: connect to /ws for what was before', { topic });
    }
    if (this.#streams.has(topic)) {
      throw new GatewayError('USAGE', 'this client is subscribed to it already: use that subscription, or end it first', { topic });
    }
    const stream = new Stream(topic, options, {
      command: (...command) => this.#command(...command),
      send: (frame) => this.#state === 'open' && this.#connection.send(frame),
      began: ({ epoch }) => (this.#epoch = epoch ?? this.#epoch),
      replay: (job) => this.#replays.repair(job),
      report: (gap) => this.#events.emit('gap', gap),
      fail: (error) => this.#fail(error),
      ended: (ended, error) => (error ? this.#forget(ended) : this.#unsubscribe(ended)),
    });
    this.#streams.set(topic, stream);
    if (stream.isPattern) this.#patterns.add(stream);
    if (this.#state === 'open') stream.subscribe();
    return new Subscription(stream, handler, () => this.#unsubscribe(stream));
  }

  /** Publishes; resolves with the ack of the gateway. */
  async publish(topic, payload, options = {}) {
    if (this.#state === 'closed') throw this.#closedError();
    if (payload === undefined) throw new GatewayError('USAGE', 'there is no payload: give a JSON value, null for none', { topic });
    return this.#publishes.add(topic, payload, options);
  }

  /** Reads a part of a topic again; to the handler, or into the answer. */
  async replay(topic, range = {}, handler) {
    if (this.#state === 'closed') throw this.#closedError();
    if (isPattern(topic)) throw new GatewayError('USAGE', 'a pattern has no positions: replay each topic for itself', { topic });
    const { fromSeq, toSeq } = range;
    if (!isNumber(fromSeq) || (toSeq !== undefined && (!isNumber(toSeq) || toSeq < fromSeq))) {
      throw new GatewayError('USAGE', '`fromSeq` and `toSeq` must be whole numbers, the second not below the first', { topic });
    }
    return this.#replays.read(topic, range, handler);
  }

  /** Ends everything: subscriptions end, what waits is rejected. Resolves when the socket is closed. */
  async close() {
    const connection = this.#connection;
    for (const stream of [...this.#streams.values()]) stream.acks.flush();
    this.#end(undefined);
    await connection?.close('bye', CLOSING);
  }

  // --- One connection after the other -----------------------------------------------------------------------------

  async #open() {
    this.#timer = undefined;
    this.#become('connecting');
    let token;
    try {
      token = await this.#freshToken();
    } catch (cause) {
      this.#fail(new GatewayError('AUTH_FAILED', 'the token function failed', { retryable: true, cause }));
      if (this.#state !== 'closed') this.#wait(backoff(this.#tries++));
      return;
    }
    if (this.#state === 'closed') return;
    try {
      this.#connection = new Connection(this.#WebSocket, this.#url, {
        open: () => this.#introduce(token),
        frame: (frame) => this.#frame(frame),
        end: (end) => this.#lost(end),
      });
    } catch (cause) {
      this.#end(new GatewayError('USAGE', `"${this.#url}" is no address of a gateway: give one like ws://host:8080/ws`, { cause }));
    }
  }

  async #freshToken() {
    return typeof this.#token === 'function' ? this.#token() : this.#token;
  }

  #introduce(token) {
    // One `resume` speaks of one epoch; whoever has not been told of the newest is subscribed for itself.
    const epoch = this.#epoch;
    // What the address subscribes to is live before a `resume` is read: what is missing is replayed.
    const own = this.#streams.get(this.#ownTopic);
    own?.asked();
    const resumable = [...this.#streams.values()].filter((stream) => stream !== own && stream.feed.resumable && stream.feed.epoch === epoch);
    const resumed = resumable.slice(0, RESUMED_TOPICS);
    if (!this.#session || resumed.length === 0) {
      this.#setup(token);
      return;
    }
    const lastSeqPerTopic = Object.fromEntries(resumed.map(({ topic, resumeAfter }) => [topic, resumeAfter]));
    for (const stream of resumed) stream.asked();
    this.#connection.command(
      { type: 'resume', sessionId: this.#session.sessionId, lastSeqPerTopic, epoch, token },
      (frame) => {
        if (!frame.resumed) for (const stream of resumed) stream.interrupted();
        this.#opened(frame);
      },
      (frame) => {
        if (frame.code !== 'SESSION_EXPIRED') return this.#refused(frame);
        for (const stream of resumed) stream.interrupted();
        return this.#setup(token);
      },
    );
  }

  #setup(token) {
    this.#connection.command(
      { type: 'setup', token },
      (frame) => this.#opened(frame),
      (frame) => this.#refused(frame),
    );
  }

  /** The gateway let this client in. */
  #opened(ready) {
    this.#authFailures = 0;
    this.#tries = Math.min(this.#tries, SETTLED_TRIES);
    this.#took(ready);
    this.#connection.watch(ready.heartbeatSeconds ?? 25);
    this.#stable = setTimeout(() => (this.#tries = 0), STABLE);
    this.#become('open', { resumed: ready.resumed === true });
    for (const stream of this.#streams.values()) if (stream.state === 'new') stream.subscribe();
    this.#publishes.opened();
    this.#replays.opened();
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #took(ready) {
    this.#session = ready;
    this.#refresh.schedule(this.#token === undefined || typeof this.#token === 'string' ? undefined : ready.expiresAt);
  }

  /** The gateway did not let this client in. */
  #refused(frame) {
    const error = GatewayError.of(frame);
    const fresh = error.code === 'AUTH_FAILED' && typeof this.#token === 'function' && this.#authFailures === 0;
    if (!fresh && !error.retryable && error.code !== 'LIMIT_EXCEEDED') {
      this.#connection.close('refused', CLOSING);
      this.#end(error);
      return;
    }
    if (fresh) this.#authFailures += 1;
    this.#connection.end('refused');
  }

  #lost({ code, reason, opened }) {
    const refreshable = typeof this.#token === 'function';
    const { again, tries, message } = afterClose(code, reason, { url: this.#url, refreshable, opened });
    this.#interrupt();
    if (code === 1009) this.#publishes.tooLarge();
    if (!again) {
      this.#end(new GatewayError(code === 4401 ? 'AUTH_FAILED' : 'FORBIDDEN', message));
      return;
    }
    this.#tries = Math.max(this.#tries, tries);
    // The gateway has drawn a time already; what has passed of it has passed.
    const wait = this.#drained === undefined ? backoff(this.#tries++) : Math.max(0, this.#drained - performance.now());
    this.#drained = undefined;
    this.#wait(wait, message);
  }

  #interrupt() {
    clearTimeout(this.#stable);
    clearTimeout(this.#timer);
    this.#refresh.stop();
    this.#connection = undefined;
    for (const stream of this.#streams.values()) stream.interrupted();
    this.#replays.interrupted();
    for (const done of this.#unsubscribing) done();
  }

  #wait(wait, reason) {
    this.#timer = setTimeout(() => this.#open(), wait);
    this.#become('waiting', { reason, retryInMs: wait });
    if (this.#session || this.#warned || this.#events.heard('state')) return;
    // Whoever waits for a connection that never was is not left without a word.
    this.#warned = true;
    console.warn(`topic-gateway-client: ${reason}; it is tried again`);
  }

  #end(error) {
    if (this.#state === 'closed') return;
    this.#error = error;
    this.#interrupt();
    this.#become('closed', { reason: error?.message });
    for (const stream of [...this.#streams.values()]) stream.end(error);
    const reason = this.#closedError();
    this.#publishes.end(reason);
    this.#replays.end(reason);
    for (const { reject } of this.#waiting) reject(reason);
    this.#waiting.clear();
    if (error) this.#fail(error);
  }

  async #replaceToken() {
    const connection = this.#connection;
    try {
      const token = await this.#freshToken();
      if (connection !== this.#connection) return;
      connection?.command(
        { type: 'setup', token },
        (frame) => this.#took(frame),
        (frame) => {
          this.#fail(GatewayError.of(frame));
          this.#refresh.failed();
        },
      );
    } catch (cause) {
      this.#fail(new GatewayError('AUTH_FAILED', 'the token function failed', { retryable: true, cause }));
      if (connection === this.#connection) this.#refresh.failed();
    }
  }

  // --- What comes in ------------------------------------------------------------------------------------------------

  #frame(frame) {
    switch (frame.type) {
      case 'message':
        this.#message(frame);
        break;
      case 'gap': {
        const { type, ...gap } = frame;
        const stream = this.#streams.get(gap.topic);
        const read = this.#replays.gap(gap);
        // Of what a replay asked for, a subscription hears only what it has not had.
        if (!read || gap.toSeq > stream?.feed.position) stream?.gap(gap);
        break;
      }
      case 'subscribed':
        this.#streams.get(frame.topic)?.subscribed(frame);
        break;
      case 'draining':
        this.#drain(frame.reconnectAfterMs ?? 0);
        break;
      case 'error':
        this.#ownError(frame);
        break;
      case 'ready':
        this.#took(frame);
        break;
      default: // `pong`, and answers that nobody waits for any more.
    }
  }

  #message({ type, ...message }) {
    const streams = this.#wantedBy(message.topic);
    this.#replays.message(message, streams.some(({ state, feed }) => state === 'live' && feed.isNew(message)));
    for (const stream of streams) stream.message(message);
  }

  #wantedBy(topic) {
    const own = this.#streams.get(topic);
    const wide = [...this.#patterns].filter((pattern) => matches(pattern.topic, topic));
    return own ? [own, ...wide] : wide;
  }

  /** An error that answers no command: of a topic, or of the connection. */
  #ownError(frame) {
    const stream = this.#streams.get(frame.topic);
    if (stream) stream.refused(frame);
    else if (frame.code === 'AUTH_REQUIRED' && typeof this.#token === 'function') this.#refresh.now();
    else this.#fail(GatewayError.of(frame));
  }

  #drain(after) {
    this.#drained = performance.now() + after;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#drained = 0;
      this.#connection?.end('the gateway is going away');
    }, after);
  }

  // --- What goes out ------------------------------------------------------------------------------------------------

  #command(...command) {
    if (this.#state === 'open') this.#connection.command(...command);
  }

  #unsubscribe(stream) {
    if (!this.#forget(stream)) return Promise.resolve();
    const known = stream.state !== 'new';
    stream.end();
    if (!known || this.#state !== 'open') return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => this.#unsubscribing.delete(done) && resolve();
      this.#unsubscribing.add(done);
      this.#command({ type: 'unsubscribe', topic: stream.topic }, done, done);
    });
  }

  /** Whether it was known. */
  #forget(stream) {
    if (this.#streams.get(stream.topic) !== stream) return false;
    this.#patterns.delete(stream);
    return this.#streams.delete(stream.topic);
  }

  #become(state, more = {}) {
    if (this.#state === state && state !== 'connecting') return;
    this.#state = state;
    this.#events.emit('state', { state, ...more });
  }

  /** Tells of an error, once. */
  #fail(error) {
    if (error === this.#reported) return;
    this.#reported = error;
    if (this.#events.heard('error')) this.#events.emit('error', error);
    else console.error(`topic-gateway-client: ${error.message}`, ...(error.cause ? [error.cause] : []));
  }

  #closedError() {
    return this.#error ?? new GatewayError('CLOSED', 'the client is closed');
  }
}

function checkSubscribe(topic, handler, { fromSeq, last }) {
  if (handler !== undefined && typeof handler !== 'function') {
    throw new GatewayError('USAGE', 'the handler must be a function', { topic });
  }
  if (fromSeq !== undefined && last !== undefined) {
    throw new GatewayError('USAGE', '`fromSeq` and `last` exclude each other: give one of them', { topic });
  }
  for (const [name, value] of Object.entries({ fromSeq, last })) {
    if (value !== undefined && !isNumber(value)) {
      throw new GatewayError('USAGE', `\`${name}\` must be a whole number that is not negative`, { topic });
    }
  }
}

function isNumber(value) {
  return Number.isSafeInteger(value) && value >= 0;
}
