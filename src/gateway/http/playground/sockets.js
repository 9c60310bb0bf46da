// `/ws` and `/ws/sub/{topic}`: the client library, with one connection for all topics or one for each.

import { connect } from './client/index.js';

export class Sockets {
  #addresses;
  #token;
  #page;
  #each;
  /** By topic; one under no name where all topics share it. */
  #clients = new Map();
  /** What each client said of its connection last. */
  #states = new Map();
  #sockets = new Set();
  #over = false;

  /** `page`: see playground.js. `each`: a connection for each topic. */
  constructor(addresses, token, page, { each }) {
    this.#addresses = addresses;
    this.#token = token;
    this.#page = page;
    this.#each = each;
    if (each) this.#show();
    else this.#client(undefined);
  }

  subscribe(topic, { handler, ...options }) {
    const client = this.#client(this.#each ? topic : undefined);
    const subscription = client.subscribe(topic, handler, { ...options, autoAck: true });
    if (this.#each) subscription.closed.then(() => this.#leave(topic, client));
    return subscription;
  }

  publish(topic, payload, messageId) {
    return this.#any(topic).publish(topic, payload, messageId ? { messageId } : {});
  }

  replay(topic, range, handler) {
    return this.#any(topic).replay(topic, range, handler);
  }

  drop() {
    for (const socket of this.#sockets) socket.close(4000, 'dropped by the playground');
  }

  async close() {
    this.#over = true;
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }

  /** The client whose connection takes a command for this topic. */
  #any(topic) {
    const [first] = this.#clients.values();
    const client = this.#clients.get(topic) ?? first;
    if (client) return client;
    throw new Error('This endpoint has a connection for each topic, and there is none yet: subscribe to a topic first, or choose /ws.');
  }

  #client(topic) {
    const known = this.#clients.get(topic);
    if (known) return known;
    const url = topic === undefined ? this.#addresses.socket : this.#addresses.socketOf(topic);
    const client = connect(url, { token: this.#token, WebSocket: this.#watched() });
    this.#clients.set(topic, client);
    client.on('state', (change) => this.#changed(client, change));
    client.on('error', (error) => this.#page.complain(error.message));
    client.on('gap', (gap) => this.#page.log('note', `a gap: ${JSON.stringify(gap)}`));
    this.#changed(client, { state: 'connecting' });
    return client;
  }

  /** A class of sockets whose frames are shown, and that are within reach to be dropped. */
  #watched() {
    const { log } = this.#page;
    const sockets = this.#sockets;
    return class extends WebSocket {
      constructor(url) {
        super(url);
        sockets.add(this);
        log('note', `opens ${url}`);
        this.addEventListener('message', ({ data }) => log('in', data));
        this.addEventListener('close', ({ code, reason }) => {
          sockets.delete(this);
          log('note', `closed ${code}${reason && `: ${reason}`}`);
        });
      }

      send(data) {
        super.send(data);
        log('out', data);
      }
    };
  }

  #leave(topic, client) {
    if (this.#over || this.#clients.get(topic) !== client) return;
    this.#clients.delete(topic);
    this.#states.delete(client);
    client.close();
    this.#show();
  }

  #changed(client, change) {
    if (this.#over) return;
    if (change.state === 'closed') {
      // One that was left says so, too.
      if (![...this.#clients.values()].includes(client)) return;
      this.close();
      this.#page.ended(change.reason);
      return;
    }
    this.#states.set(client, change);
    this.#show();
  }

  /** Of several connections, the one that is worst off is told of. */
  #show() {
    const states = [...this.#states.values()];
    const worst = ['waiting', 'connecting', 'open'].map((name) => states.find(({ state }) => state === name)).find(Boolean);
    if (!worst) return this.#page.show('idle', 'no topic yet');
    if (worst.state === 'connecting') return this.#page.show('connecting', 'connecting …');
    if (worst.state === 'waiting') return this.#page.show('waiting', `not connected, again in ${(worst.retryInMs / 1000).toFixed(1)} s`, `${worst.reason}. Trying again by itself.`);
    const [{ userId = 'anonymous' }] = this.#clients.values();
    const many = this.#each ? `, ${states.length} connection${states.length === 1 ? '' : 's'}` : '';
    this.#page.show('open', `${worst.resumed ? 'resumed' : 'connected'} as ${userId}${many}`);
  }
}
