// What the client keeps and how long it waits. Everything that can grow has its bound here.

/** Messages that wait for the application, per subscription. */
export const QUEUED_MESSAGES = 1_000;
/** Messages held back above a hole, per subscription. */
export const HELD_MESSAGES = 1_000;
/** Publishes without an ack, sent or not. */
export const PUBLISHES = 1_000;
/** Characters of JSON in publishes without an ack. */
export const PUBLISH_CHARACTERS = 8 * 1024 * 1024;
/** Replays that wait for one another, per client. */
export const REPLAYS = 100;
/** Messages of a replay without a handler. */
export const REPLAYED_MESSAGES = 10_000;
/** Positions sent in one `resume`; topics beyond are subscribed to from their position. */
export const RESUMED_TOPICS = 1_024;
/** Topics of one pattern whose last number is remembered. */
export const PATTERN_TOPICS = 1_024;
/** Messages whose handler failed and that are delivered once more when the gateway sends them again. */
export const FAILED_MESSAGES = 1_000;

/** Times that one hole is asked for before it is reported as a gap. */
export const REPAIR_TRIES = 5;
/** Failed attempts that a connection which got as far as `ready` counts for, until it has stood long enough. */
export const SETTLED_TRIES = 2;
/** Processed messages after which a cumulative ack goes out at once. */
export const ACK_EVERY = 100;

/** Milliseconds after which a cumulative ack goes out at the latest. */
export const ACK_AFTER = 100;
/** Milliseconds from the first attempt to connect until the gateway has said `ready`. */
export const OPENING = 10_000;
/** Milliseconds within which anything must come after a `ping`. */
export const PONG = 10_000;
/** Milliseconds that a connection stands before its next loss counts as the first. */
export const STABLE = 10_000;
/** Milliseconds that `close` waits for the socket. */
export const CLOSING = 2_000;
/** Milliseconds before its expiry that a token is replaced, or a fifth of its life if that is less. */
export const REFRESH_AHEAD = 60_000;
/** Longest time that a timer takes. */
export const LONGEST_TIMER = 2 ** 31 - 1;
