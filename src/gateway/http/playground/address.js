// The addresses of a gateway's endpoints, made of any one of them.

/** Throws, in words, where the text is no address. */
export function addressesOf(text) {
  let url;
  try {
    url = new URL(text.trim());
  } catch {
    throw new Error(`"${text}" is no address: give one like ws://127.0.0.1:8080, with ws, wss, http or https in front.`);
  }
  const [, kind, secure] = /^(ws|http)(s?):$/.exec(url.protocol) ?? [];
  if (!kind) throw new Error(`"${url.protocol}" is not what a gateway speaks: begin the address with ws, wss, http or https.`);
  const place = `${secure}://${url.host}${folder(url.pathname)}`;
  return {
    socket: `ws${place}/ws`,
    socketOf: (topic) => `ws${place}/ws/sub/${encodeURIComponent(topic)}`,
    stream: `http${place}/sse`,
    publish: (topic) => `http${place}/publish/${encodeURIComponent(topic)}`,
  };
}

// What stands in front of the endpoint, where a proxy serves the gateway below a path.
const folder = (path) => {
  const own = path.search(/\/(ws|sse|publish|docs|stats)(\/|$)/);
  return (own < 0 ? path : path.slice(0, own)).replace(/\/+$/, '');
};
