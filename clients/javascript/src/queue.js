// What waits for the application. Its bound is kept by whoever fills it: `length` says what is there.

export class Queue {
  #items = [];
  #taken = 0;
  #waiting;
  #ended = false;
  #error;

  get length() {
    return this.#items.length - this.#taken;
  }

  get ended() {
    return this.#ended;
  }

  push(item) {
    if (this.#ended) return;
    this.#items.push(item);
    this.#wake();
  }

  /** Nothing more comes; what is there can still be taken, then `next` gives undefined or throws the error. */
  end(error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake();
  }

  /** Throws away what waits. */
  clear() {
    this.#items = [];
    this.#taken = 0;
  }

  /** The next item; undefined after the end. One at a time may wait. */
  async next() {
    while (this.length === 0) {
      if (this.#ended) {
        if (this.#error) throw this.#error;
        return undefined;
      }
      await new Promise((resolve) => {
        this.#waiting = resolve;
      });
    }
    const item = this.#items[this.#taken];
    this.#items[this.#taken] = undefined;
    this.#taken += 1;
    if (this.#taken * 2 > this.#items.length) {
      this.#items.splice(0, this.#taken);
      this.#taken = 0;
    }
    return item;
  }

  #wake() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}
