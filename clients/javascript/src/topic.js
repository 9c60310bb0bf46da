// Topics and patterns: tokens divided by dots, `*` for one token and `>` for all that follow.

export function isPattern(topic) {
  return topic.split('.').some((token) => token === '*' || token === '>');
}

/** The topic that an address subscribes to by itself (`/ws/sub/{topic}`); undefined where it names none. */
export function topicOf(url) {
  const [, topic] = /\/ws\/sub\/([^/?#]+)/.exec(url) ?? [];
  try {
    return topic && decodeURIComponent(topic);
  } catch {
    return undefined; // The gateway says what is wrong with it.
  }
}

/** Whether a topic is meant by a pattern. */
export function matches(pattern, topic) {
  const wanted = pattern.split('.');
  const given = topic.split('.');
  for (const [at, token] of wanted.entries()) {
    if (token === '>') return given.length > at;
    if (at >= given.length || (token !== '*' && token !== given[at])) return false;
  }
  return wanted.length === given.length;
}
