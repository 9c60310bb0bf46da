// The connection to NATS of both programs.

import { connect, JSONCodec } from 'nats';

/** Comes back by itself once it was there; a program that never had one says so and ends. */
export async function connectToNats(name, servers) {
  try {
    return await connect({ servers, name, maxReconnectAttempts: -1 });
  } catch (error) {
    console.error(`${name}: no NATS at ${servers} (${error.message}): start a nats-server, or say where it is with --nats`);
    process.exit(69);
  }
}

export const { decode, encode } = JSONCodec();
