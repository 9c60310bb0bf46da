// A gateway of one's own: sockets that the test answers, and time that it moves.

import { mock } from 'node:test';

import { connect } from '../src/index.js';

/** Lets everything happen that needs no time. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

class FakeSocket {
  readyState = 0;
  sent = [];
  #listeners = [];

  constructor(url, sockets) {
    this.url = url;
    sockets.push(this);
  }

  addEventListener(name, listener) {
    if (name === 'close') this.#listeners.push(listener);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith ??= code;
    this.readyState = 2;
    queueMicrotask(() => this.drop(1000));
  }

  open() {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.onopen?.();
  }

  /** The gateway says something. */
  say(frame) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  /** The connection ends. */
  drop(code = 1006, reason = '') {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code, reason });
    for (const listener of this.#listeners) listener({ code, reason });
  }

  /** The first frame of a type that was not looked at yet. */
  take(type) {
    const at = this.sent.findIndex((frame) => frame.type === type);
    if (at < 0) throw new Error(`no ${type} in ${JSON.stringify(this.sent)}`);
    return this.sent.splice(at, 1)[0];
  }
}

/** A client of a fake gateway, in a test whose time stands still. */
export class Bench {
  sockets = [];
  states = [];
  gaps = [];
  errors = [];
  received = [];

  constructor(t, { url = 'ws://gateway/ws', ...options } = {}) {
    mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    mock.method(Math, 'random', () => 0.5);
    const { sockets } = this;
    const WebSocket = class extends FakeSocket {
      constructor(url) {
        super(url, sockets);
      }
    };
    this.client = connect(url, { WebSocket, ...options });
    this.client.on('state', (change) => this.states.push(change));
    this.client.on('gap', (gap) => this.gaps.push(gap));
    this.client.on('error', (error) => this.errors.push(error));
    t.after(async () => {
      await this.client.close();
      mock.timers.reset();
      mock.restoreAll();
    });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** The newest socket opens and the gateway says `ready`. */
  async ready(more = {}) {
    await settle();
    this.socket.open();
    const command = this.socket.sent[0].type === 'resume' ? this.socket.take('resume') : this.socket.take('setup');
    const resumed = command.type === 'resume';
    this.socket.say({ type: 'ready', id: command.id, sessionId: 's1', userId: 'ann', heartbeatSeconds: 25, resumed, ...more });
    await settle();
    return command;
  }

  /** Time passes. */
  async pass(milliseconds) {
    mock.timers.tick(milliseconds);
    await settle();
  }

  /** Subscribes, and the gateway agrees. */
  async subscribed(topic = 'a', { options = {}, handler = ({ seqNo, data }) => this.received.push(seqNo ?? data), ...frame } = {}) {
    const subscription = this.client.subscribe(topic, handler, options);
    const { id } = this.socket.take('subscribe');
    await this.say({ type: 'subscribed', id, topic, seqNo: 0, recoverable: true, ...frame });
    return subscription;
  }

  async say(...frames) {
    for (const frame of frames) this.socket.say(frame);
    await settle();
  }

  /** The connection is lost and a new one is opened, after any wait. */
  async reconnect(code = 1006) {
    this.socket.drop(code);
    await this.pass(30_000);
    await settle();
    this.socket.open();
  }
}

export const message = (seqNo, prevSeqNo = seqNo - 1, topic = 'a') => ({ type: 'message', topic, seqNo, prevSeqNo, messageId: `m${seqNo}`, data: seqNo });
