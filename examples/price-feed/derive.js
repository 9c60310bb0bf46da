// From the main feed to what people look at. No clock and no socket: trades go in; messages for channels come out, and
// what the REST interface tells is kept. Time is the exchange's, so that the same trades give the same candles.

/** Bounds of memory: symbols that are followed, and closed candles that are kept of each. */
export const MOST_SYMBOLS = 1000;
export const KEPT_CANDLES = 300;

/** Candles that a move is measured over, and movers that are told. */
const MOVE_CANDLES = 60;
const MOVERS = 5;

export class Market {
  /** Per symbol `{ price, at, open?, candles }`: the last trade, the candle under way, closed ones, oldest first. */
  #symbols = new Map();
  /** The second that candles are under way for, as the time of its begin. */
  #second = -Infinity;
  #session;
  #seqNo = 0;
  /** Since when nothing of the feed is missing, by the exchange's clock. */
  #wholeSince = Infinity;
  /** Trades of the feed that never came, and trades that are no use: seen before, too late, or of too many symbols. */
  missed = 0;
  ignored = 0;

  /** Takes a trade; gives `{ channel, data }` for each message that follows from it. */
  take({ session, seqNo, symbol, price, size, at }) {
    if (!this.#isNext(session, seqNo, at) || at < this.#second || !this.#follows(symbol)) {
      this.ignored += 1;
      return [];
    }
    const second = at - (at % 1000);
    // Whatever trade it is that begins a second, it ends the candles of all symbols.
    const messages = second > this.#second ? this.#close(second) : [];
    const entry = this.#symbols.get(symbol);
    Object.assign(entry, { price, at });
    entry.open ??= { symbol, start: second, open: price, high: price, low: price, close: price, volume: 0, trades: 0 };
    const candle = entry.open;
    candle.high = Math.max(candle.high, price);
    candle.low = Math.min(candle.low, price);
    candle.close = price;
    candle.volume += size;
    candle.trades += 1;
    messages.push({ channel: `ticks.${symbol}`, data: { symbol, price, size, at } });
    return messages;
  }

  /** The last price of every symbol, by name; and of one, or undefined. */
  prices() {
    return [...this.#symbols.keys()].sort().map((symbol) => this.price(symbol));
  }

  price(symbol) {
    const entry = this.#symbols.get(symbol);
    return entry && { symbol, price: entry.price, at: entry.at };
  }

  /** The newest closed candles of a symbol, oldest first; undefined for a symbol that is not traded. */
  candles(symbol, last = KEPT_CANDLES) {
    return this.#symbols.get(symbol)?.candles.slice(-last);
  }

  #isNext(session, seqNo, at) {
    if (session !== this.#session) {
      // Who comes in the midst of one has a second that is not whole.
      this.#wholeSince = seqNo === 1 ? at - (at % 1000) : at + 1;
    } else if (seqNo <= this.#seqNo) {
      return false;
    } else if (seqNo > this.#seqNo + 1) {
      this.missed += seqNo - this.#seqNo - 1;
      this.#wholeSince = at + 1;
    }
    this.#session = session;
    this.#seqNo = seqNo;
    return true;
  }

  #follows(symbol) {
    if (this.#symbols.has(symbol)) return true;
    if (this.#symbols.size >= MOST_SYMBOLS) return false;
    this.#symbols.set(symbol, { candles: [] });
    return true;
  }

  /** Ends the second: a candle for each symbol that was traded in it, and who has moved most. */
  #close(next) {
    const messages = [];
    for (const [symbol, entry] of this.#symbols) {
      const { open, candles } = entry;
      if (!open) continue;
      // `complete`: made of every trade of its second.
      const candle = { ...open, complete: this.#wholeSince <= open.start };
      candles.push(candle);
      if (candles.length > KEPT_CANDLES) candles.shift();
      entry.open = undefined;
      messages.push({ channel: `candles.1s.${symbol}`, data: candle });
    }
    if (messages.length > 0) {
      const at = this.#second + 1000;
      messages.push({ channel: 'movers', data: { at, movers: this.#movers(at) } });
    }
    this.#second = next;
    return messages;
  }

  /** By the change of their price within the last minute, the largest first. */
  #movers(at) {
    const moves = [];
    for (const [symbol, { candles }] of this.#symbols) {
      const recent = candles.slice(-MOVE_CANDLES).filter(({ start }) => start >= at - MOVE_CANDLES * 1000);
      if (recent.length === 0) continue;
      const { open } = recent[0];
      const { close } = recent.at(-1);
      moves.push({ symbol, price: close, changePercent: Number((((close - open) / open) * 100).toFixed(4)) });
    }
    const size = ({ changePercent }) => Math.abs(changePercent);
    moves.sort((a, b) => size(b) - size(a) || (a.symbol < b.symbol ? -1 : 1));
    return moves.slice(0, MOVERS);
  }
}
