// The playground: a page around the client library, with every frame in sight.

import { connect } from './client/index.js';
import { Chart } from './chart.js';
import { Log } from './log.js';
import { Held } from './held.js';

const $ = (id) => document.getElementById(id);
const fields = (form) => Object.fromEntries(new FormData(form));
const base = new URL('..', import.meta.url);

const log = new Log($('lines'), $('log'));
const charts = {
  received: new Chart($('charts'), 'Messages a second, this page'),
  connections: new Chart($('charts'), 'Connections of this gateway'),
  topics: new Chart($('charts'), 'Topics with subscribers'),
  subscriptions: new Chart($('charts'), 'Subscriptions'),
};

let client;
let socket;
let received = 0;
let streaming;
// Whether this client has been connected before.
let everOpen = false;
const held = new Map();

// The socket of the library, with its frames shown and within reach to be dropped.
class Watched extends WebSocket {
  constructor(url) {
    super(url);
    socket = this;
    this.addEventListener('message', ({ data }) => log.add('in', data));
    this.addEventListener('close', ({ code, reason }) => log.add('note', `closed ${code}${reason && `: ${reason}`}`));
  }

  send(data) {
    super.send(data);
    log.add('out', data);
  }
}

const show = (state, text) => {
  $('state').dataset.state = state;
  $('state').textContent = text;
  $('drop').disabled = state !== 'open';
  $('close').disabled = client === undefined;
};

const complain = (text) => {
  $('problem').textContent = text ?? '';
  $('problem').hidden = !text;
};

const changed = (change) => {
  if (change.state === 'open') {
    everOpen = true;
    complain();
    show('open', `${change.resumed ? 'resumed' : 'connected'} as ${client.userId ?? 'anonymous'}`);
  } else if (change.state === 'connecting') {
    show('connecting', 'connecting …');
  } else if (change.state === 'waiting') {
    show('waiting', `lost: again in ${(change.retryInMs / 1000).toFixed(1)} s`);
    complain(reasoned(change.reason));
  } else {
    end();
    show(change.reason ? 'failed' : 'closed', change.reason ? 'ended' : 'not connected');
    complain(change.reason);
  }
};

// What a browser does not say: why no connection was made.
const reasoned = (reason) =>
  !everOpen && reason.includes('1006')
    ? 'There is no gateway at this address, or it does not answer. Is it running, and is the address right (ws:// or wss://, port, /ws)? Trying again by itself.'
    : `${reason}. Trying again by itself.`;

const end = () => {
  stopStreaming();
  client = undefined;
  for (const one of held.values()) one.remove();
  held.clear();
};

const begin = () => {
  const { url, token } = fields($('connect'));
  everOpen = false;
  complain();
  try {
    client = connect(url, { token: token || undefined, WebSocket: Watched });
  } catch (error) {
    client = undefined;
    show('failed', 'not connected');
    return complain(error.message);
  }
  client.on('state', changed);
  client.on('error', (error) => complain(error.message));
  client.on('gap', (gap) => log.add('note', `a gap: ${JSON.stringify(gap)}`));
  show('connecting', 'connecting …');
  return client;
};

// The client, connected with what the form says if there is none.
const connected = () => client ?? begin();

$('connect').addEventListener('submit', async (event) => {
  event.preventDefault();
  const old = client;
  if (old) end();
  await old?.close();
  begin();
});
$('drop').addEventListener('click', () => socket?.close(4000, 'dropped by the playground'));
$('close').addEventListener('click', () => client?.close());

$('subscribe').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { topic, from, number } = fields(event.target);
  const own = connected();
  if (!own || held.has(topic)) return;
  const options = from === 'live' ? {} : { [from]: Number(number) };
  const row = new Held($('held'), topic);
  held.set(topic, row);
  const gone = () => {
    if (held.get(topic) === row) held.delete(topic);
    row.remove();
  };
  try {
    const subscription = own.subscribe(
      topic,
      (message) => {
        received += 1;
        row.take(message);
      },
      { ...options, autoAck: true, onGap: (gap) => row.miss(gap) },
    );
    row.onEnd(() => subscription.unsubscribe());
    subscription.closed.then((error) => {
      if (error) complain(error.message);
      gone();
    });
    await subscription.ready;
  } catch (error) {
    gone();
    complain(error.message);
  }
});

const publish = async (form, counter) => {
  const { topic, payload, messageId } = fields(form);
  const say = (text, bad) => {
    $('published').textContent = text;
    $('published').className = bad ? 'bad' : '';
  };
  let body;
  try {
    body = JSON.parse(payload);
  } catch (error) {
    return say(`The payload is not JSON: ${error.message}. Text wants quotation marks: "hello".`, true);
  }
  if (counter !== undefined && body !== null && typeof body === 'object' && !Array.isArray(body)) body.n = counter;
  try {
    const own = connected();
    const ack = await own?.publish(topic, body, messageId && counter === undefined ? { messageId } : {});
    if (ack) say(`${ack.status}${ack.seqNo === undefined ? '' : `, number ${ack.seqNo}`}, id ${ack.messageId}`);
  } catch (error) {
    say(error.message, true);
    stopStreaming();
  }
};

const stopStreaming = () => {
  clearInterval(streaming);
  streaming = undefined;
  $('stream').setAttribute('aria-pressed', 'false');
};

$('publish').addEventListener('submit', (event) => {
  event.preventDefault();
  publish(event.target);
});
$('stream').addEventListener('click', () => {
  if (streaming) return stopStreaming();
  let n = 0;
  streaming = setInterval(() => publish($('publish'), (n += 1)), 100);
  $('stream').setAttribute('aria-pressed', 'true');
});

$('replay').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { topic, fromSeq, toSeq } = fields(event.target);
  const options = { fromSeq: Number(fromSeq), ...(toSeq && { toSeq: Number(toSeq) }) };
  const say = (text, bad) => {
    $('replayed').textContent = text;
    $('replayed').className = bad ? 'bad' : '';
  };
  let count = 0;
  try {
    const answer = await connected()?.replay(topic, options, () => (count += 1));
    if (answer) say(`${count} messages, up to number ${answer.toSeq}; ${answer.complete ? 'complete' : 'part of it is gone'}`);
  } catch (error) {
    say(error.message, true);
  }
});

$('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});

// Once a second; a gateway that is away leaves the charts as they are.
setInterval(async () => {
  charts.received.add(received);
  received = 0;
  try {
    const stats = await (await fetch(new URL('stats', base))).json();
    for (const name of ['connections', 'topics', 'subscriptions']) charts[name].add(stats[name]);
  } catch {
    // The state says it already.
  }
}, 1000);

$('connect').elements.url.value = new URL('ws', base).href.replace(/^http/, 'ws');
begin();
