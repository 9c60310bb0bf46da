// A simulated exchange: prices that wander. The same seed gives the same trades, on every machine: only additions and
// multiplications of doubles are used, and whole numbers of 32 bits.

/** What is traded, and where its price begins. */
export const SYMBOLS = { BTC: 64_000, ETH: 3_200, SOL: 150, XRP: 0.5, ADA: 0.4, DOT: 6 };

/** Largest step of a price from one trade to the next, as a share of it. */
const STEP = 0.0005;

/**
 * Trades without an end. `start` is the time of the first, `rate` how many there are in a second of the exchange's time.
 * `session` and `seqNo` let a reader see that it has missed some: numbers count from 1 in each session.
 */
export function* trades({ seed, start, rate }) {
  const random = generator(seed);
  const symbols = Object.keys(SYMBOLS);
  const prices = new Map(Object.entries(SYMBOLS));
  const session = `${seed}-${start}`;
  for (let seqNo = 1; ; seqNo += 1) {
    const symbol = symbols[Math.floor(random() * symbols.length)];
    const price = prices.get(symbol) * (1 + (random() - 0.5) * 2 * STEP);
    prices.set(symbol, price);
    const size = 1 + Math.floor(random() * 100);
    const at = start + Math.floor(((seqNo - 1) * 1000) / rate);
    yield { session, seqNo, symbol, price: rounded(price), size, at };
  }
}

/** As an exchange quotes it: six digits. */
const rounded = (price) => Number(price.toPrecision(6));

/** Mulberry32: numbers from 0 to below 1. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
