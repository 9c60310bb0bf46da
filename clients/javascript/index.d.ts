/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A message of a topic. */
export interface Message<T = unknown> {
  /** The topic it was published to; for a pattern, the concrete one. */
  topic: string;
  /** What was published. */
  data: T;
  /** Its number on the topic; absent where the backbone gives none. */
  seqNo?: number;
  /** The number of the message before it on the topic. */
  prevSeqNo?: number;
  /** The publisher's id of it. */
  messageId?: string;
  /** `base64` where what was published is not JSON: `data` is then its bytes in base64. */
  encoding?: 'base64';
}

/** Messages that this client will not get. */
export interface Gap {
  topic: string;
  /** First number that is missing, where known. */
  fromSeq?: number;
  /** Last number that is missing, where known. */
  toSeq?: number;
  /**
   * `expired`: not kept any longer. `backbone`: the backbone lost them or cannot be read. `dropped`: this client was too
   * slow. `disconnected`: sent while there was no connection, on a topic without history.
   */
  reason: 'expired' | 'backbone' | 'dropped' | 'disconnected';
}

/** What a gateway says when a topic begins. */
export interface Subscribed {
  /** Position that what follows starts after; 0 where unknown. */
  seqNo: number;
  /** Whether what is missed can be sent again. */
  recoverable: boolean;
  /** After `fromSeq`: false if part of it is gone. */
  recovered?: boolean;
}

/** The gateway's answer to a publish. */
export interface Ack {
  messageId: string;
  /** `duplicate`: a message with this id was accepted before. */
  status: 'ok' | 'duplicate';
  seqNo?: number;
}

/** The answer to a replay. */
export interface Replayed {
  topic: string;
  fromSeq: number;
  /** Last number that was covered. */
  toSeq: number;
  /** Whether nothing of it is missing. */
  complete: boolean;
  /** What is missing of it, as far as its numbers are known. */
  gaps: Gap[];
}

export type ErrorCode =
  | 'BAD_REQUEST'
  | 'AUTH_REQUIRED'
  | 'AUTH_FAILED'
  | 'ACL_DENIED'
  | 'TOPIC_INVALID'
  | 'SESSION_EXPIRED'
  | 'LIMIT_EXCEEDED'
  | 'HISTORY_UNAVAILABLE'
  | 'BACKBONE_UNAVAILABLE'
  /** The gateway closed with 4403. */
  | 'FORBIDDEN'
  /** The client or the subscription was closed. */
  | 'CLOSED'
  /** A bound of the client was reached. */
  | 'BUSY'
  /** A call or a callback of the application is wrong. */
  | 'USAGE';

/** A failure; its message ends with what to do next. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  /** What to do next. */
  readonly next: string;
  readonly topic?: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
}

export interface ConnectOptions {
  /**
   * A token, or a function that yields one: called before each connection, and again before the token expires.
   */
  token?: string | (() => string | Promise<string>);
  /** A WebSocket class to use instead of the global one. */
  WebSocket?: new (url: string) => unknown;
}

export interface SubscribeOptions {
  /** Begin with the message of this number, or the first one kept after it. */
  fromSeq?: number;
  /** Begin with so many of the newest messages. */
  last?: number;
  /** Acknowledge each message when its handler has resolved, or when the loop asks for the next one. */
  autoAck?: boolean;
  /** Called in its place among the messages for what is missing. */
  onGap?: (gap: Gap) => void;
}

export interface PublishOptions {
  /** Made at random if absent. Two publishes with one id are one message. */
  messageId?: string;
  /** Gives the publish up; it may have been accepted. */
  signal?: AbortSignal;
}

export interface ReplayOptions {
  /** First number. */
  fromSeq: number;
  /** Last number; the newest if absent. */
  toSeq?: number;
  signal?: AbortSignal;
}

export type StateChange =
  | { state: 'connecting' }
  | { state: 'open'; resumed: boolean }
  | { state: 'waiting'; reason: string; retryInMs: number }
  | { state: 'closed'; reason?: string };

export interface Events {
  state: StateChange;
  gap: Gap;
  error: GatewayError;
}

/** A topic or pattern that this client receives. */
export interface Subscription<T = unknown> extends AsyncIterable<Message<T>> {
  readonly topic: string;
  /** Resolves with the first `subscribed`; rejected if the topic is refused. */
  readonly ready: Promise<Subscribed>;
  /** Resolves at the end: with the error that ended it, or with undefined. */
  readonly closed: Promise<GatewayError | undefined>;
  /** Number of the last message that came here. */
  readonly position: number | undefined;
  /** Whether what is missed can be sent again. */
  readonly recoverable: boolean;
  /** Messages that came more than once and were dropped. */
  readonly doubles: number;
  /** Tells the gateway that this message and all before it were processed. */
  ack(message: Message): void;
  /** Ends the subscription; resolves when the gateway knows. */
  unsubscribe(): Promise<void>;
}

export class Client {
  private constructor();
  readonly state: StateChange['state'];
  /** The user that the gateway knows this client as. */
  readonly userId: string | undefined;
  /** Resolves as soon as the connection can be used. */
  ready(): Promise<void>;
  /** Gives the function that takes the listener away. */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void;
  /** Receives a topic or pattern with a handler; the next message comes when the handler has resolved. */
  subscribe<T = unknown>(
    topic: string,
    handler: (message: Message<T>) => unknown,
    options?: SubscribeOptions,
  ): Subscription<T>;
  /** Receives a topic or pattern in a `for await` loop; left by `break`, the subscription ends. */
  subscribe<T = unknown>(topic: string, options?: SubscribeOptions): Subscription<T>;
  /** Publishes; sent again with the same messageId until the gateway has accepted or refused it. */
  publish(topic: string, payload: Json | object, options?: PublishOptions): Promise<Ack>;
  /** Reads a part of a topic again. */
  replay<T = unknown>(topic: string, options: ReplayOptions): Promise<Replayed & { messages: Message<T>[] }>;
  replay<T = unknown>(
    topic: string,
    options: ReplayOptions,
    handler: (message: Message<T>) => void,
  ): Promise<Replayed>;
  /** Ends everything: subscriptions end, what waits is rejected with `CLOSED`. */
  close(): Promise<void>;
}

/**
 * Connects to a gateway (`ws://host:8080/ws`), and again whenever the connection is lost, until `close`. An address that
 * ends in `/ws/sub/{topic}` subscribes to that topic by itself, from now on.
 */
export function connect(url: string | URL, options?: ConnectOptions): Client;
