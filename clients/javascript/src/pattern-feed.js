// What a pattern delivers. It has no position of its own, but the numbers of each topic show doubles and holes.

import { PATTERN_TOPICS, QUEUED_MESSAGES } from './limits.js';

export class PatternFeed {
  position = undefined;
  recoverable = false;
  resumable = false;
  doubles = 0;
  #last = new Map();
  #dropping = false;

  constructor(topic, { queued = QUEUED_MESSAGES } = {}) {
    this.topic = topic;
    this.bounds = { queued };
  }

  isNew({ topic, seqNo }) {
    return !(seqNo <= this.#last.get(topic));
  }

  begin() {
    this.#last.clear();
    return [];
  }

  interrupted() {
    this.#last.clear();
  }

  take(message, room) {
    const { topic, seqNo, prevSeqNo } = message;
    const items = [];
    if (seqNo !== undefined && prevSeqNo !== undefined) {
      const last = this.#last.get(topic);
      if (seqNo <= last) {
        this.doubles += 1;
        return [];
      }
      if (prevSeqNo > last) items.push({ gap: { topic, fromSeq: last + 1, toSeq: prevSeqNo, reason: 'dropped' } });
      this.#remember(topic, seqNo);
    }
    if (room > 0) {
      this.#dropping = false;
      items.push({ message });
    } else if (!this.#dropping) {
      this.#dropping = true;
      items.push({ gap: { topic: this.topic, reason: 'dropped' } });
    }
    return this.#dropping ? items.filter((item) => item.gap?.topic === this.topic) : items;
  }

  lose(gap) {
    this.#last.clear();
    return [{ gap }];
  }

  drain() {
    return [];
  }

  ask() {
    return undefined;
  }

  /** The topic heard of longest ago is forgotten first. */
  #remember(topic, seqNo) {
    this.#last.delete(topic);
    this.#last.set(topic, seqNo);
    if (this.#last.size > PATTERN_TOPICS) this.#last.delete(this.#last.keys().next().value);
  }
}
