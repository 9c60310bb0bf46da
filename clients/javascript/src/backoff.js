// How long to wait before the next attempt: drawn at random, so that clients that lost one gateway do not come at once.

/** Milliseconds below which the first wait is drawn; it doubles with each try. */
export const FIRST = 500;
/** Milliseconds below which any wait is drawn. */
export const LONGEST = 30_000;

/** Milliseconds before the attempt that follows `tries` failed ones; `random` is from 0 to 1. */
export function backoff(tries, random = Math.random()) {
  return Math.round(random * Math.min(LONGEST, FIRST * 2 ** Math.min(tries, 16)));
}
