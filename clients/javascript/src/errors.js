// Errors that say what to do next.

const NEXT = {
  BAD_REQUEST: 'correct the call',
  AUTH_REQUIRED: 'give `connect` a `token`',
  AUTH_FAILED: 'give `connect` a token that is valid now',
  ACL_DENIED: "ask for a rule in the TopicGateway's authorization that grants it",
  TOPIC_INVALID: 'use letters, digits and _-:/@=~+% in tokens divided by dots',
  SESSION_EXPIRED: 'subscribe again',
  LIMIT_EXCEEDED: 'do it later or with less',
  HISTORY_UNAVAILABLE: 'leave out `fromSeq` and `last`',
  BACKBONE_UNAVAILABLE: 'try again later',
  FORBIDDEN: "ask for this origin or user to be allowed in the TopicGateway's resource",
  CLOSED: 'call `connect` again',
  BUSY: 'wait for earlier calls to be answered',
  USAGE: 'correct the call',
};

/** A failure with its code, whether the same call may succeed later, and what to do next. */
export class GatewayError extends Error {
  constructor(code, message, { topic, retryable = false, id, cause } = {}) {
    const next = NEXT[code] ?? 'see the protocol';
    // The gateway's own message often ends with the next action: it is not said twice.
    super(`${topic === undefined ? '' : `${topic}: `}${message} (${code})${message.includes(': ') ? '' : `: ${next}`}`, { cause });
    this.name = 'GatewayError';
    this.code = code;
    this.next = next;
    this.topic = topic;
    this.retryable = retryable;
    this.id = id;
  }

  /** The error that an `error` frame tells of. */
  static of({ code = 'BAD_REQUEST', message = 'refused', topic, retryable = false, id }) {
    return new GatewayError(String(code), String(message), { topic, retryable: retryable === true, id });
  }
}
