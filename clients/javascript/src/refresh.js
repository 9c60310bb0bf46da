// Replaces a token before it expires.

import { backoff } from './backoff.js';
import { LONGEST_TIMER, REFRESH_AHEAD } from './limits.js';

/** Milliseconds until a token that expires in `left` milliseconds is to be replaced. */
export function refreshIn(left) {
  return Math.max(0, left - Math.min(REFRESH_AHEAD, left / 5));
}

export class Refresh {
  #replace;
  #timer;
  #tries = 0;
  /** A new token is on its way. */
  #replacing = false;

  /** `replace()` sends a new token. */
  constructor(replace) {
    this.#replace = replace;
  }

  /** A token was taken that expires then, in seconds since 1970. */
  schedule(expiresAt) {
    this.stop();
    if (expiresAt === undefined) return;
    this.#tries = 0;
    this.#wait(Date.now() + refreshIn(expiresAt * 1000 - Date.now()));
  }

  /** The gateway says that the token is about to end: it is replaced at once, if it is not being replaced. */
  now() {
    if (this.#replacing) return;
    clearTimeout(this.#timer);
    this.#replacing = true;
    this.#replace();
  }

  /** The token could not be replaced: try again. */
  failed() {
    this.#replacing = false;
    this.#wait(Date.now() + 1000 + backoff(this.#tries));
    this.#tries += 1;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#replacing = false;
  }

  #wait(until) {
    clearTimeout(this.#timer);
    const left = until - Date.now();
    // A timer takes only so much: the rest is waited for with another.
    if (left > LONGEST_TIMER) this.#timer = setTimeout(() => this.#wait(until), LONGEST_TIMER);
    else this.#timer = setTimeout(() => this.now(), left);
  }
}
