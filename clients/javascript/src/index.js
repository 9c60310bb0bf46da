import { Client } from './client.js';

export { Client } from './client.js';
export { GatewayError } from './errors.js';

/** Connects to a gateway, and again whenever the connection is lost, until `close`. */
export function connect(url, options) {
  return new Client(url, options);
}
