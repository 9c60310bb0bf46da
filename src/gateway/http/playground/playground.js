// The playground: a page around the endpoints of a gateway, with every frame in sight.

import { addressesOf } from './address.js';
import { Chart } from './chart.js';
import { Events } from './events.js';
import { Held } from './held.js';
import { Log } from './log.js';
import { Sockets } from './sockets.js';

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

/** Each has `subscribe`, `publish`, `drop` and `close`, and but for `events` `replay`, as the client library has. */
const ENDPOINTS = {
  many: (...args) => new Sockets(...args, { each: false }),
  one: (...args) => new Sockets(...args, { each: true }),
  events: (...args) => new Events(...args),
};

let endpoint;
let received = 0;
let streaming;
const held = new Map();

const complain = (text, ofConnection = false) => {
  $('problem').textContent = text ?? '';
  $('problem').hidden = !text;
  $('problem').classList.toggle('of-connection', ofConnection);
};

const show = (state, text, problem) => {
  $('state').dataset.state = state;
  $('state').textContent = text;
  $('drop').disabled = state !== 'open';
  $('close').disabled = !['open', 'connecting', 'waiting'].includes(state);
  // What was refused stays until something else is tried; a connection that is back is no problem any more.
  if (problem || $('problem').classList.contains('of-connection')) complain(problem, true);
};

/** What an endpoint tells. */
const page = {
  log: (kind, text) => log.add(kind, text),
  show,
  complain,
  ended: (reason) => {
    leave();
    show(reason ? 'failed' : 'closed', reason ? 'ended' : 'not connected', reason);
  },
};

const leave = () => {
  stopStreaming();
  const old = endpoint;
  endpoint = undefined;
  for (const one of held.values()) one.remove();
  held.clear();
  return old?.close();
};

const begin = () => {
  const { endpoint: kind, url, token } = fields($('connect'));
  complain();
  try {
    endpoint = ENDPOINTS[kind](addressesOf(url), token || undefined, page);
  } catch (error) {
    show('failed', 'not connected', error.message);
  }
  return endpoint;
};

const anew = async () => {
  await leave();
  begin();
};

// The endpoint, connected with what the form says if there is none.
const connected = () => endpoint ?? begin();

// What an endpoint cannot do is not offered, and said.
const choose = () => {
  const { endpoint: kind } = fields($('connect'));
  for (const part of document.querySelectorAll('[data-endpoint]')) part.hidden = !part.dataset.endpoint.split(' ').includes(kind);
  $('beginning').disabled = kind !== 'many';
  $('range').disabled = kind === 'events';
};

$('connect').addEventListener('submit', (event) => {
  event.preventDefault();
  anew();
});
$('connect').addEventListener('change', ({ target }) => {
  if (target.name !== 'endpoint') return;
  choose();
  anew();
});
$('drop').addEventListener('click', () => endpoint?.drop());
$('close').addEventListener('click', async () => {
  await leave();
  show('closed', 'not connected');
});

$('subscribe').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { topic, from = 'live', number } = fields(event.target);
  complain();
  if (held.has(topic)) return complain(`${topic}: this page has it already. Leave it first to begin elsewhere.`);
  const own = connected();
  if (!own) return;
  const row = new Held($('held'), topic);
  held.set(topic, row);
  const gone = (error) => {
    if (held.get(topic) === row) held.delete(topic);
    row.remove();
    if (error) complain(error.message);
  };
  try {
    const subscription = own.subscribe(topic, {
      ...(from !== 'live' && { [from]: Number(number) }),
      handler: (message) => {
        received += 1;
        row.take(message);
      },
      onGap: (gap) => row.miss(gap),
    });
    row.onEnd(() => subscription.unsubscribe());
    subscription.closed.then(gone);
    await subscription.ready;
  } catch (error) {
    gone(error);
  }
});

const say = (id, text, bad = false) => {
  $(id).textContent = text;
  $(id).className = bad ? 'bad' : '';
};

const publish = async (counter) => {
  const { topic, payload, messageId } = fields($('publish'));
  let body;
  try {
    body = JSON.parse(payload);
  } catch (error) {
    return say('published', `The payload is not JSON: ${error.message}. Text wants quotation marks: "hello".`, true);
  }
  if (counter !== undefined && body !== null && typeof body === 'object' && !Array.isArray(body)) body.n = counter;
  try {
    const ack = await connected()?.publish(topic, body, counter === undefined ? messageId : undefined);
    if (ack) say('published', `${ack.status}${ack.seqNo === undefined ? '' : `, number ${ack.seqNo}`}, id ${ack.messageId}`);
  } catch (error) {
    say('published', error.message, true);
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
  publish();
});
$('stream').addEventListener('click', () => {
  if (streaming) return stopStreaming();
  let n = 0;
  streaming = setInterval(() => publish((n += 1)), 100);
  $('stream').setAttribute('aria-pressed', 'true');
});

$('replay').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { topic, fromSeq, toSeq } = fields(event.target);
  let count = 0;
  try {
    const range = { fromSeq: Number(fromSeq), ...(toSeq && { toSeq: Number(toSeq) }) };
    const answer = await connected()?.replay(topic, range, () => (count += 1));
    if (answer) say('replayed', `${count} messages, up to number ${answer.toSeq}; ${answer.complete ? 'complete' : 'part of it is gone'}`);
  } catch (error) {
    say('replayed', error.message, true);
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

$('connect').elements.url.value = base.href.replace(/\/$/, '');
choose();
begin();
