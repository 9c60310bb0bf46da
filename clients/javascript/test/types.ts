// Not run: the declarations must accept what the README shows, and refuse what is wrong.

import { connect, GatewayError, type Ack, type Gap, type Message } from 'topic-gateway-client';

interface Price {
  price: number;
}

const client = connect('ws://localhost:8080/ws', { token: async () => 'token' });
connect(new URL('ws://localhost:8080/ws'), { token: 'token', WebSocket });

const prices = client.subscribe<Price>('prices.btc', ({ data, seqNo }) => [data.price.toFixed(2), seqNo?.toFixed()], {
  fromSeq: 1,
  autoAck: true,
  onGap: ({ topic, fromSeq, toSeq, reason }: Gap) => [topic, fromSeq, toSeq, reason],
});
const { seqNo, recoverable } = await prices.ready;
const position: number | undefined = prices.position;

for await (const message of client.subscribe<Price>('prices.*', { last: 3 })) {
  const price: number = message.data.price;
  prices.ack(message);
}

const ack: Ack = await client.publish('prices.btc', { price: 1 }, { messageId: 'x', signal: AbortSignal.timeout(5000) });
const price: Price = { price: 2 };
await client.publish('prices.btc', price);
await client.publish('prices.btc', null);

const { messages, complete } = await client.replay<Price>('prices.btc', { fromSeq: 1, toSeq: 10 });
const first: Message<Price> | undefined = messages[0];
const { toSeq } = await client.replay('prices.btc', { fromSeq: 1 }, (message) => message.data);

const off: () => void = client.on('state', (change) => {
  if (change.state === 'waiting') change.retryInMs.toFixed();
});
client.on('gap', (gap) => gap.reason);
client.on('error', (error) => error.code === 'ACL_DENIED' && error.next);
const ended: GatewayError | undefined = await prices.closed;
await prices.unsubscribe();
await client.close();

// @ts-expect-error the handler comes first
client.subscribe('a', {}, () => {});
// @ts-expect-error there is no such event
client.on('message', () => {});
// @ts-expect-error a payload is needed
client.publish('a');
// @ts-expect-error a replay begins somewhere
client.replay('a', {});
// @ts-expect-error with a handler there are no messages in the answer
(await client.replay('a', { fromSeq: 1 }, () => {})).messages;
// @ts-expect-error only `connect` makes clients
new Client();

export { ack, complete, ended, first, off, position, recoverable, seqNo, toSeq };
