// `/sse`: the browser's own EventSource reads all topics as one stream, and `POST /publish/{topic}` publishes.

import { backoff } from './client/backoff.js';
import { GatewayError } from './client/errors.js';
import { matches } from './client/topic.js';
import { ask, away } from './refusal.js';

const TYPES = ['ready', 'subscribed', 'message', 'gap', 'error', 'draining', 'closed'];
const POSITIONED = ['subscribed', 'message', 'gap'];

export class Events {
  #addresses;
  #token;
  #page;
  #source;
  /** The last id, which is a position in all topics: another stream goes on behind it. */
  #last = '';
  /** What the page holds of each topic: `{ handler, onGap, ready, closed }`. */
  #topics = new Map();
  /** What a loss of the stream is to be told as, where that is known. */
  #loss;
  #timer;
  #tries = 0;

  constructor(addresses, token, page) {
    this.#addresses = addresses;
    this.#token = token;
    this.#page = page;
    this.#open();
  }

  subscribe(topic, { handler, onGap }) {
    const [ready, closed] = [Promise.withResolvers(), Promise.withResolvers()];
    this.#topics.set(topic, { handler, onGap, ready, closed });
    this.#open();
    const unsubscribe = () => {
      this.#end(topic);
      this.#open();
    };
    return { ready: ready.promise, closed: closed.promise, unsubscribe };
  }

  async publish(topic, payload, messageId) {
    const headers = { 'content-type': 'application/json' };
    if (messageId) headers['idempotency-key'] = messageId;
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    const body = JSON.stringify(payload);
    const url = this.#addresses.publish(topic);
    this.#page.log('out', `POST ${url} ${body}`);
    const { ack, problem } = await ask(url, { method: 'POST', headers, body });
    this.#page.log(problem ? 'note' : 'in', problem ?? JSON.stringify(ack));
    if (problem) throw new Error(problem);
    return ack;
  }

  /** A page cannot cut the connection of an EventSource: another one takes its place. */
  drop() {
    this.#again(backoff(0), 'dropped');
  }

  async close() {
    this.#stop();
    for (const topic of [...this.#topics.keys()]) this.#end(topic);
  }

  /** A stream of the topics that there are now. */
  #open() {
    this.#stop();
    if (this.#topics.size === 0) {
      this.#last = '';
      this.#page.show('idle', 'no topic yet');
      return;
    }
    this.#page.show('connecting', 'connecting …');
    const source = new EventSource(this.#url());
    this.#page.log('note', `opens ${source.url}`);
    this.#source = source;
    for (const type of TYPES) source.addEventListener(type, (event) => source === this.#source && this.#event(event));
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #again(milliseconds, why, problem) {
    this.#stop();
    this.#page.show('waiting', `${why}, again in ${(milliseconds / 1000).toFixed(1)} s`, problem && `${problem} Trying again by itself.`);
    this.#timer = setTimeout(() => this.#open(), milliseconds);
  }

  #url() {
    const query = new URLSearchParams({ topics: [...this.#topics.keys()].join(',') });
    if (this.#last) query.set('lastEventId', this.#last);
    if (this.#token) query.set('access_token', this.#token);
    return `${this.#addresses.stream}?${query}`;
  }

  #event({ type, data, lastEventId }) {
    // A connection that is lost is an event of the name `error`, too.
    if (data === undefined) return this.#lost();
    const positioned = POSITIONED.includes(type);
    if (positioned) this.#last = lastEventId;
    this.#page.log('in', positioned ? `${data} id: ${lastEventId}` : data);
    return this.#frame(JSON.parse(data));
  }

  #frame(frame) {
    const { type, topic } = frame;
    if (type === 'ready') {
      this.#tries = 0;
      this.#loss = 'the stream was lost.';
      this.#page.show('open', `${frame.resumed ? 'resumed' : 'connected'} as ${frame.userId}`);
    } else if (type === 'subscribed') {
      this.#topics.get(topic)?.ready.resolve();
    } else if (type === 'message' || type === 'gap') {
      for (const [own, { handler, onGap }] of this.#topics) if (matches(own, topic)) (type === 'gap' ? onGap : handler)(frame);
    } else if (type === 'error') {
      const error = GatewayError.of(frame);
      this.#page.complain(error.message);
      this.#end(topic, error);
    } else if (type === 'closed') {
      this.#loss = `the gateway has closed the stream: ${frame.reason} (${frame.code}).`;
    }
  }

  /** EventSource comes back by itself, or it has given up without saying why: then the address is asked once more. */
  async #lost() {
    const source = this.#source;
    if (source.readyState !== EventSource.CLOSED) {
      this.#page.show('waiting', 'not connected, again soon', `${this.#loss ?? away(source.url)} EventSource tries again by itself.`);
      this.#loss = undefined;
      return;
    }
    const { status, topic, problem, retryAfter } = await ask(source.url);
    if (source !== this.#source) return;
    if (!problem || status === undefined || retryAfter !== undefined) return this.#again(retryAfter ?? backoff((this.#tries += 1)), 'not connected', problem);
    if (!this.#topics.has(topic)) return this.#page.ended(problem);
    this.#end(topic, new Error(problem));
    this.#open();
  }

  #end(topic, error) {
    const own = this.#topics.get(topic);
    this.#topics.delete(topic);
    own?.ready.reject(error);
    own?.closed.resolve(error);
  }
}
