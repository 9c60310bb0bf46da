// What a page shows, kept up to date: what there was by REST, what comes by WebSocket. For browsers and for Node.
//
// Both may tell the same in any order, so that each thing has a place of its own: a price counts if it is not older than
// the one that is there, a candle stands for its second. Whenever something was missed, it is read again.

/** When what was missed could not be read: as soon as that it is tried again. */
const RETRY_MS = 2000;

export class Board {
  /** Per symbol: `{ price, at }`, and the newest candles, oldest first. */
  prices = new Map();
  candles = new Map();
  movers = [];
  #rest;
  #fetch;
  #kept;
  #changed;
  #reading;
  #again = false;
  #retry;
  #closed = false;

  /** `client`: of topic-gateway; `rest`: the address of market.js; `changed` is called after every change. */
  constructor({ client, rest, fetch = globalThis.fetch, kept = 60, changed = () => {} }) {
    this.#rest = rest;
    // A browser's `fetch` wants to be called as one of the window.
    this.#fetch = (url) => fetch(url);
    this.#kept = kept;
    this.#changed = changed;
    const onGap = () => this.#readAgain();
    this.subscriptions = [
      client.subscribe('ticks.*', ({ data }) => this.#price(data), { onGap }),
      client.subscribe('candles.1s.*', ({ data }) => this.#candle(data), { onGap }),
      client.subscribe('movers', ({ data }) => this.#move(data), { onGap }),
    ];
    // First the channels, then what was before: the other way round something would be missed in between.
    this.ready = Promise.all(this.subscriptions.map(({ ready }) => ready)).then(() => this.read());
  }

  /** Reads what there is. Asked for again while it reads, it reads once more: what it has read may be too old. */
  read() {
    if (this.#reading) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = this.#readUntilFresh().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** Ends it: nothing is read any more, and the channels are let go. */
  async close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    await Promise.all(this.subscriptions.map((subscription) => subscription.unsubscribe()));
  }

  #readAgain() {
    this.read().catch(() => {
      clearTimeout(this.#retry);
      if (!this.#closed) this.#retry = setTimeout(() => this.#readAgain(), RETRY_MS);
    });
  }

  async #readUntilFresh() {
    do {
      this.#again = false;
      const { prices } = await this.#get('/prices');
      const all = await Promise.all(prices.map(({ symbol }) => this.#get(`/candles/${symbol}?last=${this.#kept}`)));
      prices.forEach((price) => this.#price(price));
      all.forEach(({ candles }) => candles.forEach((candle) => this.#candle(candle)));
    } while (this.#again);
  }

  async #get(path) {
    const answer = await this.#fetch(new URL(path, this.#rest));
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }

  #price({ symbol, price, at }) {
    const known = this.prices.get(symbol);
    if (known && known.at > at) return;
    this.prices.set(symbol, { price, at });
    this.#changed();
  }

  #candle(candle) {
    const candles = this.candles.get(candle.symbol) ?? [];
    const at = candles.findIndex(({ start }) => start >= candle.start);
    if (at < 0) candles.push(candle);
    else candles.splice(at, candles[at].start === candle.start ? 1 : 0, candle);
    this.candles.set(candle.symbol, candles.slice(-this.#kept));
    this.#changed();
  }

  #move({ movers }) {
    this.movers = movers;
    this.#changed();
  }
}
