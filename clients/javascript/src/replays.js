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
      // `reached`: number up to which everything has come or is known to be gone.
      const job = { topic, reached: fromSeq - 1, fromSeq, toSeq, complete: true, messages: [], gaps: [], tries: 0, signal };
      job.end = (then) => {
        signal?.removeEventListener('abort', job.abort);
        this.#remove(job);
        then();
      };
      job.abort = () => job.end(() => reject(signal.reason));
      signal?.addEventListener('abort', job.abort);
      job.take = (message) => {
        if (handler) handler(message);
        else if (job.messages.push(message) > REPLAYED_MESSAGES) {
          const text = `more than ${REPLAYED_MESSAGES} messages: give a handler, or ask for a smaller part`;
          job.refused(new GatewayError('LIMIT_EXCEEDED', text, { topic }));
        }
      };
      job.answered = (answer) => {
        const { messages, gaps } = job;
        const complete = job.complete && answer.complete === true;
        job.end(() => resolve({ topic, fromSeq, toSeq: answer.toSeq, complete, gaps, ...(handler ? {} : { messages }) }));
      };
      job.refused = (error) => job.end(() => reject(error));
      this.#add(job);
    });
  }

  /**
   * A message came; it may belong to a replay. `isNews`: it may as well be what a subscription waits for; then it belongs
   * to the replay only if it follows on what that has.
   */
  message(message, isNews) {
    const job = this.#reading(message.topic);
    const { seqNo, prevSeqNo } = message;
    if (!job || seqNo === undefined || seqNo <= job.reached || seqNo > (job.toSeq ?? Infinity)) return;
    if (isNews && !(prevSeqNo <= job.reached)) return;
    job.reached = seqNo;
    try {
      job.take(message);
    } catch (error) {
      job.refused(error);
    }
  }

  /** A gap came; whether it belongs to a replay. */
  gap(gap) {
    const job = this.#reading(gap.topic);
    if (!job || gap.reason !== 'expired' || !(gap.fromSeq > job.reached && gap.fromSeq <= (job.toSeq ?? Infinity))) return false;
    job.gaps.push(gap);
    job.complete = false;
    job.reached = Math.max(job.reached, gap.toSeq);
    return true;
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

  /** What the application reads of a topic just now. */
  #reading(topic) {
    const job = this.#topics.get(topic)?.[0];
    return job?.take && job.running ? job : undefined;
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
    const { topic, toSeq } = job;
    const fromSeq = job.repair ? job.fromSeq : job.reached + 1;
    if (fromSeq > toSeq) {
      // All of it has come; only the answer was lost.
      job.answered({ toSeq, complete: true });
      return;
    }
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
