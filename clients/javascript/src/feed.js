// The client rule of one topic: what is delivered, what is held back, what is to be asked for again.
// No clock and no socket: frames in; items `{ message }` and `{ gap }` for the application out.

import { HELD_MESSAGES, QUEUED_MESSAGES, REPAIR_TRIES } from './limits.js';

export class Feed {
  /** Number of the last message that the application has or will get; undefined where unknown. */
  position;
  /** What it is a position of, where the gateway says it. */
  epoch;
  /** Whether the gateway can send again what is missing. */
  recoverable = false;
  /** Messages that came more than once. */
  doubles = 0;
  /** Messages and gaps above a hole, by their numbers: `{ item, seqNo, prevSeqNo }`. */
  #held = [];
  /** Largest number heard of. */
  #head = 0;
  /** Something up to the head was let go for lack of room. */
  #behind = false;
  /** The replay under way. */
  #asked;
  /** A replay was refused for now: none is asked for before `rested`. */
  #resting = false;
  #tries = 0;
  #window;
  /** `subscribed` has just said where the topic goes on: the gap that follows tells of the same loss. */
  #placed = false;
  /** Of a feed without positions: messages are being dropped, and a gap has said so. */
  #dropping = false;

  constructor(topic, { queued = QUEUED_MESSAGES, held = HELD_MESSAGES } = {}) {
    this.topic = topic;
    this.bounds = { queued, held };
    this.#window = queued;
  }

  /** Whether a connection that is lost can be made good. */
  get resumable() {
    return this.recoverable && this.position !== undefined;
  }

  /** Whether nothing of this number has come yet. */
  isNew({ seqNo }) {
    return !this.resumable || seqNo > this.#head;
  }

  /** `subscribed` came; `asked`: the position that was asked for, which may be before the one reached. */
  begin({ seqNo = 0, recoverable = false, recovered, epoch }, asked) {
    const before = this.resumable ? this.position : undefined;
    const items = [];
    const anew = before !== undefined && epoch !== this.epoch && this.epoch !== undefined;
    this.epoch = epoch;
    this.interrupted();
    this.recoverable = recoverable;
    if (!recoverable) {
      this.position = undefined;
      if (before !== undefined) items.push(this.#gap(undefined, undefined, 'disconnected'));
    } else if (anew && recovered !== false) {
      // The numbers are those of another stream, whatever the gateway made of the old position.
      items.push(this.#gap(undefined, undefined, 'expired'));
      this.position = seqNo;
    } else if (recovered === true || (recovered === false && before !== undefined && !anew && seqNo === asked)) {
      this.position = before ?? seqNo;
    } else {
      // The gateway says itself what a `recovered: false` lacks. If nobody asked it to go on (the address subscribes to its
      // topic from now on), what lies between is asked for as any hole.
      this.#behind = recovered === undefined && before < seqNo;
      this.position = this.#behind ? before : seqNo;
    }
    this.#placed = recovered === false;
    this.#head = this.#behind ? seqNo : (this.position ?? 0);
    return items;
  }

  /** The connection is lost: what is held back comes again. */
  interrupted() {
    this.#held = [];
    this.#behind = false;
    this.#asked = undefined;
    this.#resting = false;
    this.#tries = 0;
    this.#window = this.bounds.queued;
  }

  /** A message came; the application has room for so many. */
  take(message, room) {
    const { seqNo, prevSeqNo } = message;
    this.#placed = false;
    if (!this.recoverable || seqNo === undefined) return this.#pass(message, room);
    this.#head = Math.max(this.#head, seqNo);
    if (this.position !== undefined && seqNo <= this.position) {
      this.doubles += 1;
      return [];
    }
    if (this.position !== undefined && prevSeqNo !== undefined && prevSeqNo > this.position) {
      this.#hold({ item: { message }, seqNo, prevSeqNo });
      return [];
    }
    if (room <= 0) {
      this.#letGo();
      return [];
    }
    if (this.#asked) this.#asked.brought += 1;
    this.position = seqNo;
    return this.drain(room, [{ message }]);
  }

  /** `gap` came: its messages will not. */
  lose(gap, room) {
    const { fromSeq, toSeq, reason } = gap;
    const placed = this.#placed;
    this.#placed = false;
    if (toSeq === undefined && reason === 'expired' && !placed) {
      // The topic began anew: the next message says where.
      this.interrupted();
      this.position = undefined;
      this.#head = 0;
    } else if (toSeq !== undefined && this.position !== undefined && toSeq > this.position) {
      const target = this.#target();
      if (target > this.position && !(fromSeq <= target)) {
        // What is missing before it may still come.
        this.#hold({ item: { gap }, seqNo: toSeq, prevSeqNo: (fromSeq ?? this.#head + 1) - 1 });
        this.#head = Math.max(this.#head, toSeq);
        return [];
      }
      this.position = toSeq;
      this.#head = Math.max(this.#head, toSeq);
    }
    if (this.#asked) this.#asked.told = true;
    return this.drain(room, [{ gap }]);
  }

  /** `replayed` came. */
  repaired({ toSeq = 0, complete = false }, room) {
    const asked = this.#asked;
    this.#asked = undefined;
    if (!asked || this.position === undefined) return [];
    const items = [];
    const reached = Math.min(toSeq, asked.toSeq);
    if (!asked.starved && reached > this.position) {
      // A message of that number there was, and it has not come.
      const next = this.#held[0];
      const awaited = next?.item.message !== undefined && next.prevSeqNo === reached;
      if ((!complete && !asked.told) || awaited) items.push(this.#gap(this.position + 1, reached, 'expired'));
      this.position = reached;
    }
    const moved = this.position >= asked.fromSeq;
    this.#tries = moved || asked.starved ? 0 : this.#tries + 1;
    this.#window = asked.brought > 0 || asked.starved ? this.bounds.queued : this.#window * 2;
    if (this.#tries >= REPAIR_TRIES) return this.#giveUp(room, items, 'expired');
    return this.drain(room, items);
  }

  /** The replay was refused. `busy`: only for other history that is on its way, so nothing speaks against asking again. */
  refused(retryable, room, busy = false) {
    if (!this.#asked || this.position === undefined) return [];
    this.#asked = undefined;
    if (!busy) this.#tries += 1;
    if (retryable && this.#tries < REPAIR_TRIES) {
      this.#resting = true;
      return [];
    }
    return this.#giveUp(room, [], retryable ? 'backbone' : 'expired');
  }

  /** It is time to ask again for what was refused. */
  rested() {
    this.#resting = false;
  }

  /** What is held and follows on what is there, as far as there is room, behind `items`. */
  drain(room, items = []) {
    let left = room - items.filter((item) => item.message).length;
    while (this.#held.length > 0 && left > 0) {
      const { item, seqNo, prevSeqNo } = this.#held[0];
      if (prevSeqNo > this.position && seqNo > this.position) break;
      this.#held.shift();
      if (item.message && seqNo <= this.position) continue;
      this.position = Math.max(this.position, seqNo);
      items.push(item);
      if (item.message) left -= 1;
    }
    return items;
  }

  /** The replay to be sent now, if one is needed and there is room for what it brings. It is then under way. */
  ask(room) {
    if (this.#asked || this.#resting || !this.resumable || room < this.bounds.queued / 2) return undefined;
    const target = this.#target();
    if (target <= this.position) {
      if (this.#held.length === 0) this.#behind = false;
      return undefined;
    }
    const range = { fromSeq: this.position + 1, toSeq: Math.min(target, this.position + this.#window) };
    this.#asked = { ...range, brought: 0, starved: false, told: false };
    return range;
  }

  /** Last number that is missing below what is held, or at all. */
  #target() {
    if (this.#held.length > 0) return this.#held[0].prevSeqNo;
    return this.#behind ? this.#head : this.position;
  }

  #hold(entry) {
    const at = this.#held.findIndex((held) => held.seqNo >= entry.seqNo);
    if (entry.item.message && this.#held[at]?.seqNo === entry.seqNo) {
      this.doubles += 1;
      return;
    }
    this.#held.splice(at < 0 ? this.#held.length : at, 0, entry);
    if (this.#held.length > this.bounds.held) {
      this.#held.pop();
      this.#behind = true;
    }
  }

  #letGo() {
    this.#behind = true;
    if (this.#asked) this.#asked.starved = true;
  }

  #giveUp(room, items, reason) {
    const target = this.#target();
    if (target > this.position) {
      items.push(this.#gap(this.position + 1, target, reason));
      this.position = target;
    }
    this.#tries = 0;
    return this.drain(room, items);
  }

  /** A message of a feed without positions. */
  #pass(message, room) {
    if (room > 0) {
      this.#dropping = false;
      return [{ message }];
    }
    if (this.#dropping) return [];
    this.#dropping = true;
    return [this.#gap(undefined, undefined, 'dropped')];
  }

  #gap(fromSeq, toSeq, reason) {
    const gap = { topic: this.topic, reason };
    if (fromSeq !== undefined) gap.fromSeq = fromSeq;
    if (toSeq !== undefined) gap.toSeq = toSeq;
    return { gap };
  }
}
