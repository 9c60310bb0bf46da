// One WebSocket: frames in and out, its end told once, and a watch over silence.

import { OPENING, PONG } from './limits.js';

const OPEN = 1;

export class Connection {
  #socket;
  #on;
  #timer;
  #opening;
  #failing;
  #opened = false;
  #heard = false;
  #nextId = 0;
  /** Commands without an answer, by id. Bounded by what the client keeps of each kind. */
  #commands = new Map();

  /** `on`: `{ open(), frame(frame), end({ code, reason, opened }) }`; `opened`: there was a connection. */
  constructor(WebSocket, url, on) {
    this.#on = on;
    this.#socket = new WebSocket(url); // Throws where the address is none.
    this.#opening = setTimeout(() => this.end('the gateway did not answer in time'), OPENING);
    this.#socket.onopen = () => {
      this.#opened = true;
      on.open();
    };
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => this.#ended(code, String(reason ?? ''));
    // A close follows, which says more; but not in Node where no connection was made.
    this.#socket.onerror = () => {
      this.#failing ??= setTimeout(() => this.#ended(1006, ''), 0);
    };
  }

  get isOpen() {
    return this.#on !== undefined && this.#socket.readyState === OPEN;
  }

  /** Sends a frame; false: there is nothing to send it on. */
  send(frame) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Sends a command; one of `answered(frame)` and `refused(frame)` is called, unless the connection ends before. */
  command(frame, answered, refused) {
    const id = (this.#nextId += 1);
    if (this.send({ ...frame, id })) this.#commands.set(id, { answered, refused });
    return id;
  }

  /** The gateway has said `ready`: from now on it is to be heard at least this often. */
  watch(seconds) {
    clearTimeout(this.#opening);
    clearTimeout(this.#timer);
    const period = Math.max(1, seconds) * 1000;
    const quiet = () => {
      if (this.#heard) return this.#listen(period, quiet);
      this.send({ type: 'ping' });
      return this.#listen(PONG, () => {
        if (this.#heard) this.#listen(period, quiet);
        else this.end('the gateway was silent');
      });
    };
    this.#listen(period, quiet);
  }

  /** Ends the connection without waiting for the other side. Gives what is told when the socket is closed. */
  end(reason, code = 1000) {
    if (this.#socket.readyState < 2) this.#socket.close(code, reason);
    this.#ended(1006, reason);
  }

  /** Ends the connection; resolves when the socket is closed, or after `patience` milliseconds. */
  close(reason, patience) {
    const socket = this.#socket;
    const closed = new Promise((resolve) => {
      const timer = setTimeout(resolve, patience);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      if (socket.readyState === 3) done();
      socket.addEventListener('close', done);
    });
    this.#on = undefined;
    this.#quit();
    if (socket.readyState < 2) socket.close(1000, reason);
    return closed;
  }

  #listen(wait, then) {
    this.#heard = false;
    this.#timer = setTimeout(then, wait);
  }

  #receive(data) {
    if (!this.#on) return;
    this.#heard = true;
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return this.end('the gateway sent what is not JSON');
    }
    if (typeof frame?.type !== 'string') return this.end('the gateway sent what is no frame');
    const command = frame.type === 'message' ? undefined : this.#commands.get(frame.id);
    if (!command) return this.#on.frame(frame);
    this.#commands.delete(frame.id);
    if (frame.type === 'error') command.refused(frame);
    else command.answered(frame);
  }

  #ended(code, reason) {
    const on = this.#on;
    this.#on = undefined;
    this.#quit();
    on?.end({ code, reason, opened: this.#opened });
  }

  #quit() {
    clearTimeout(this.#opening);
    clearTimeout(this.#timer);
    clearTimeout(this.#failing);
    this.#commands.clear();
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
  }
}
