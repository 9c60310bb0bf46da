// Replays, one at a time for each topic: those that close a hole, and those that the application asks for.

import { backoff } from './backoff.js';
import { GatewayError } from './errors.js';
import { REPAIR_TRIES, REPLAYS, REPLAYED_MESSAGES } from './limits.js';

export class Replays {
  #command;
  /** Jobs of each topic; the first is under way. */
  #topics = new Map();
  #open = false;
  #size = 0;

  constructor(command) {
    this.#command = command;
  }

  /** Closes a hole: `{ topic, fromSeq, toSeq, answered(frame), refused(error) }`. Forgotten with its connection. */
  repair(job) {
    this.#add({ ...job, repair: true });
  }

  /** Sends a part again, to `handler` or into the answer. */
  read(topic, { fromSeq, toSeq, signal }, handler) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#size >= REPLAYS) {
        throw new GatewayError('BUSY', `${REPLAYS} replays wait: wait for some before you ask for more`, { topic, retryable: true });
      }
      const job = { topic, fromSeq, toSeq, complete: true, messages: [], tries: 0, signal };
      job.end = (then) => {
        signal?.removeEventListener('abort', job.abort);
        this.#remove(job);
        then();
      };
      job.abort = () => job.end(() => reject(signal.reason));
      signal?.addEventListener('abort', job.abort);
      job.take = (message) => {
        job.fromSeq = message.seqNo + 1;
        if (handler) handler(message);
        else if (job.messages.push(message) > REPLAYED_MESSAGES) {
          const text = `more than ${REPLAYED_MESSAGES} messages: give a handler, or ask for a smaller part`;
          job.refused(new GatewayError('LIMIT_EXCEEDED', text, { topic }));
        }
      };
      job.answered = (answer) => {
        const { messages } = job;
        const complete = job.complete && answer.complete === true;
        job.end(() => resolve({ topic, fromSeq, toSeq: answer.toSeq, complete, ...(handler ? {} : { messages }) }));
      };
      job.refused = (error) => job.end(() => reject(error));
      this.#add(job);
    });
  }

  /** A message came; it may belong to a replay. */
  message(message) {
    const job = this.#topics.get(message.topic)?.[0];
    if (!job?.take || !job.running || message.seqNo === undefined) return;
    if (message.seqNo < job.fromSeq || message.seqNo > (job.toSeq ?? Infinity)) return;
    try {
      job.take(message);
    } catch (error) {
      job.refused(error);
    }
  }

  opened() {
    this.#open = true;
    for (const [job] of this.#topics.values()) this.#start(job);
  }

  /** The connection is lost: what closes a hole is of no use any more, the rest goes on where it was. */
  interrupted() {
    this.#open = false;
    for (const jobs of [...this.#topics.values()]) {
      for (const job of [...jobs]) {
        job.running = false;
        clearTimeout(job.timer);
        if (job.repair) this.#remove(job);
      }
    }
  }

  end(error) {
    this.#open = false;
    for (const jobs of [...this.#topics.values()]) {
      for (const job of [...jobs]) {
        if (job.repair) this.#remove(job);
        else job.refused(error);
      }
    }
  }

  #add(job) {
    const jobs = this.#topics.get(job.topic) ?? [];
    // A hole holds its subscription up, so it goes before what only waits.
    if (job.repair && jobs.length > 0) jobs.splice(jobs[0].running ? 1 : 0, 0, job);
    else jobs.push(job);
    this.#topics.set(job.topic, jobs);
    this.#size += 1;
    if (jobs[0] === job) this.#start(job);
  }

  #start(job) {
    if (!this.#open || job.running) return;
    job.running = true;
    const { topic, fromSeq, toSeq } = job;
    this.#command(
      { type: 'replay', topic, fromSeq, toSeq },
      (frame) => job.running && this.#answered(job, frame),
      (frame) => job.running && this.#refused(job, GatewayError.of({ topic, ...frame })),
    );
  }

  #answered(job, frame) {
    if (job.repair) this.#remove(job);
    job.answered(frame);
  }

  #refused(job, error) {
    if (job.repair) {
      this.#remove(job);
      job.refused(error);
      return;
    }
    job.running = false;
    const passing = error.retryable || error.code === 'LIMIT_EXCEEDED';
    if (!passing || job.tries >= REPAIR_TRIES) {
      job.refused(error);
      return;
    }
    job.timer = setTimeout(() => this.#start(job), backoff(job.tries));
    job.tries += 1;
  }

  #remove(job) {
    clearTimeout(job.timer);
    const jobs = this.#topics.get(job.topic) ?? [];
    const at = jobs.indexOf(job);
    if (at < 0) return;
    const wasRunning = job.running;
    job.running = false;
    jobs.splice(at, 1);
    this.#size -= 1;
    if (jobs.length === 0) this.#topics.delete(job.topic);
    else if (at === 0 || wasRunning) this.#start(jobs[0]);
  }
}
