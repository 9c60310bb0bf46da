// Acknowledgements of one topic: cumulative while everything before was processed, one by one while something failed.

import { ACK_AFTER, ACK_EVERY, FAILED_MESSAGES } from './limits.js';

export class Acks {
  #topic;
  #send;
  /** Number up to which everything was processed. */
  #done = 0;
  #unsent = 0;
  #timer;
  #failed = new Set();

  constructor(topic, send) {
    this.#topic = topic;
    this.#send = send;
  }

  /** Number before the first message that could not be processed; infinite where all were. */
  get before() {
    return Math.min(...this.#failed) - 1;
  }

  /** A message was processed, and everything before it. */
  done({ seqNo, messageId }) {
    this.#failed.delete(seqNo);
    if (seqNo === undefined || this.#failed.size > 0) {
      // One without an id comes again until everything before it is processed.
      if (messageId !== undefined) this.#send({ type: 'ack', topic: this.#topic, messageId });
      return;
    }
    this.#done = Math.max(this.#done, seqNo);
    this.#unsent += 1;
    this.#later();
  }

  /** A message could not be processed: the gateway sends it again, and it is wanted then. */
  failed({ seqNo }) {
    this.flush();
    if (seqNo === undefined) return;
    this.#failed.add(seqNo);
    if (this.#failed.size > FAILED_MESSAGES) this.#failed.delete(this.#failed.values().next().value);
  }

  /** These messages will not come again. */
  lost({ fromSeq = Infinity, toSeq }) {
    for (const seqNo of this.#failed) if (seqNo >= fromSeq && seqNo <= toSeq) this.#failed.delete(seqNo);
  }

  /** A message came again: whether it is to be processed again. One that was processed is acknowledged again. */
  again({ seqNo }) {
    if (this.#failed.has(seqNo)) return true;
    if (seqNo <= this.#done) {
      this.#unsent += 1;
      this.#later();
    }
    return false;
  }

  /** The topic began anew, so do its numbers. */
  reset() {
    this.#stop();
    this.#done = 0;
    this.#failed.clear();
  }

  /** Sends now what waits. */
  flush() {
    const waits = this.#unsent > 0;
    this.#stop();
    if (waits) this.#send({ type: 'ack', topic: this.#topic, seqNo: this.#done });
  }

  #later() {
    if (this.#unsent >= ACK_EVERY) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), ACK_AFTER);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsent = 0;
  }
}
