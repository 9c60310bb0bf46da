// The client rule, as tables: frames in, what the application gets and what is asked for out.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Feed } from '../src/feed.js';
import { PatternFeed } from '../src/pattern-feed.js';

const gap = (fromSeq, toSeq, reason = 'expired') => ({ topic: 'a', reason, ...(fromSeq && { fromSeq }), ...(toSeq && { toSeq }) });

/** Plays steps to a feed that begins after 10; gives numbers of messages, gaps, and `?from-to` for what is asked. */
function play(steps, { feed = new Feed('a', { queued: 4, held: 3 }), room: start = 4, begin = {} } = {}) {
  let room = start;
  const out = [];
  const put = (items) => {
    for (const { message, gap: lost } of items) out.push(message ? message.seqNo : `${lost.reason} ${lost.fromSeq ?? ''}-${lost.toSeq ?? ''}`);
    const range = feed.ask(room);
    if (range) out.push(`?${range.fromSeq}-${range.toSeq}`);
  };
  put(feed.begin({ seqNo: 10, recoverable: true, ...begin }));
  for (const [step, ...args] of steps) {
    if (step === 'm') put(feed.take({ seqNo: args[0], prevSeqNo: args[1] ?? args[0] - 1 }, room));
    else if (step === 'gap') put(feed.lose(gap(...args), room));
    else if (step === 'replayed') put(feed.repaired({ toSeq: args[0], complete: args[1] ?? true }, room));
    else if (step === 'refused') put(feed.refused(args[0], room, args[1]));
    else if (step === 'rested') put(feed.rested() ?? []);
    else if (step === 'room') put(feed.drain((room = args[0])));
    else if (step === 'subscribed') put(feed.begin({ recoverable: true, ...args[0] }));
    else if (step === 'lost') feed.interrupted();
    else throw new Error(step);
  }
  return out;
}

const times = (n, ...steps) => Array.from({ length: n }, () => steps).flat();

const table = [
  ['messages that follow are delivered', [['m', 11], ['m', 12]], [11, 12]],
  ['numbers of other topics in between are no hole', [['m', 15, 10], ['m', 40, 15]], [15, 40]],
  ['what was seen is dropped', [['m', 10], ['m', 11], ['m', 11], ['m', 3], ['m', 12]], [11, 12]],
  ['a previous number below the position is no hole', [['m', 13, 7]], [13]],
  ['a hole is asked for once and what is above it held back', [['m', 13], ['m', 14]], ['?11-12']],
  ['a hole that is closed lets go what was held', [['m', 13], ['m', 14], ['m', 11], ['m', 12], ['replayed', 12]], ['?11-12', 11, 12, 13, 14]],
  ['what was held and comes again is dropped', [['m', 13], ['m', 13], ['m', 11], ['m', 12], ['m', 13], ['replayed', 12]], ['?11-12', 11, 12, 13]],
  ['a gap that covers the hole closes it', [['m', 13], ['gap', 11, 12], ['replayed', 12, false]], ['?11-12', 'expired 11-12', 13]],
  ['a gap and the rest close it together', [['m', 14], ['gap', 11, 12], ['m', 13, 12], ['replayed', 13, false]], ['?11-13', 'expired 11-12', 13, 14]],
  ['a part that does not come is reported by the client', [['m', 14], ['m', 11], ['replayed', 13]], ['?11-13', 11, 'expired 12-13', 14]],
  ['an incomplete replay without a gap is reported by the client', [['m', 14], ['replayed', 13, false]], ['?11-13', 'expired 11-13', 14]],
  ['a second hole above the first is asked for next', [['m', 13, 12], ['m', 16, 15], ['m', 12, 10], ['replayed', 12]], ['?11-12', 12, 13, '?14-15']],
  ['a refused replay is reported and what was held goes on', [['m', 13], ['refused', false]], ['?11-12', 'expired 11-12', 13]],
  ['a replay refused for now is asked for again, but not at once', [['m', 13], ['refused', true], ['m', 14], ['rested']], ['?11-12', '?11-12']],
  ['a replay refused because others are on their way is asked for as often as it takes', [['m', 13], ...times(9, ['refused', true, true], ['rested'])], times(10, '?11-12')],
  ['a replay refused too often is reported', [['m', 13], ...times(4, ['refused', true], ['rested']), ['refused', true]], [...times(5, '?11-12'), 'backbone 11-12', 13]],
  ['replays that bring nothing end', [['m', 13], ...times(5, ['replayed', 9])], [...times(5, '?11-12'), 'expired 11-12', 13]],
  ['a gap in front of a message moves the position', [['gap', 11, 20, 'dropped'], ['m', 21, 20]], ['dropped 11-20', 21]],
  ['a gap of what was seen moves nothing', [['gap', 3, 5, 'dropped'], ['m', 11]], ['dropped 3-5', 11]],
  ['a gap without numbers moves nothing', [['gap', 0, 0, 'backbone'], ['m', 11], ['m', 11]], ['backbone -', 11]],
  ['a gap behind a hole waits for the hole', [['m', 13], ['gap', 14, 20, 'dropped'], ['m', 21, 20], ['m', 11], ['m', 12], ['replayed', 12]], ['?11-12', 11, 12, 13, 'dropped 14-20', 21]],
  ['a topic that began anew is followed', [['m', 11], ['gap'], ['m', 1, 0], ['m', 2]], [11, 'expired -', 1, 2]],
  ['after a loss the position stays and what was held is forgotten', [['m', 11], ['m', 14], ['lost'], ['subscribed', { seqNo: 11, recovered: true }], ['m', 12], ['m', 13], ['m', 14]], [11, '?12-13', 12, 13, 14]],
  ['what a resume sends twice is dropped', [['m', 11], ['lost'], ['subscribed', { seqNo: 9, recovered: true }], ['m', 10], ['m', 11], ['m', 12]], [11, 12]],
  ['a position that the gateway puts back is followed', [['m', 11], ['lost'], ['subscribed', { seqNo: 2, recovered: false }], ['gap'], ['m', 3, 2], ['m', 4]], [11, 'expired -', 3, 4]],
  ['a position that the gateway puts ahead is followed', [['m', 11], ['lost'], ['subscribed', { seqNo: 20, recovered: false }], ['gap', 12, 20], ['m', 21, 20]], [11, 'expired 12-20', 21]],
  ['numbers of another stream are told as a gap', [['subscribed', { seqNo: 10, epoch: 1 }], ['m', 11], ['lost'], ['subscribed', { seqNo: 9, recovered: true, epoch: 2 }], ['m', 10], ['m', 11]], [11, 'expired -', 10, 11]],
  ['a skip that nobody speaks of is asked for as a hole', [['m', 11], ['lost'], ['subscribed', { seqNo: 13 }], ['m', 14], ['m', 12], ['m', 13], ['replayed', 13]], [11, '?12-13', 12, 13, 14]],
  ['a skip without a message behind it is asked for, too', [['m', 11], ['lost'], ['subscribed', { seqNo: 13 }], ['m', 12], ['m', 13], ['replayed', 13]], [11, '?12-13', 12, 13]],
  ['a skip whose history is gone is reported', [['m', 11], ['lost'], ['subscribed', { seqNo: 13 }], ['refused', false], ['m', 14]], [11, '?12-13', 'expired 12-13', 14]],
  ['nothing is asked for where nothing was missed', [['m', 11], ['lost'], ['subscribed', { seqNo: 11 }], ['m', 12]], [11, 12]],
  ['a topic that lost its history goes on', [['m', 11], ['lost'], ['subscribed', { seqNo: 0, recoverable: false }], ['m', 3]], [11, 'disconnected -', 3]],
];

for (const [sentence, steps, expected] of table) test(sentence, () => assert.deepEqual(play(steps), expected));

test('a position that the gateway has put anew can be resumed from before anything came', () => {
  const feed = new Feed('a');
  feed.begin({ seqNo: 6, recoverable: true, recovered: false });
  feed.lose(gap(), 1);
  assert.deepEqual([feed.position, feed.resumable], [6, true]);
});

test('without room messages are let go, and read again as soon as half of it is there', () => {
  const out = play([['m', 11], ['room', 0], ['m', 12], ['m', 13], ['m', 14], ['m', 15], ['m', 16], ['room', 1], ['room', 2]]);
  assert.deepEqual(out, [11, '?12-12']);
});

test('what is read again fills up what was let go and then lets go what was held', () => {
  const steps = [['room', 0], ['m', 11], ['m', 12], ['m', 13], ['room', 4], ['m', 11], ['replayed', 11]];
  assert.deepEqual(play(steps), ['?11-11', 11, 12, 13]);
});

test('more than is held back is read again, the last message too', () => {
  const above = [14, 15, 16, 17, 18].map((n) => ['m', n]);
  const out = play([...above, ['m', 11], ['m', 12], ['m', 13], ['replayed', 13], ['m', 17], ['m', 18], ['replayed', 18]], { room: 9 });
  assert.deepEqual(out, ['?11-13', 11, 12, 13, 14, 15, 16, '?17-18', 17, 18]);
});

test('a replay that finds no room is asked for again and nothing is reported', () => {
  const out = play([['m', 13], ['room', 0], ['m', 11], ['m', 12], ['replayed', 12], ['room', 4]]);
  assert.deepEqual(out, ['?11-12', '?11-11']);
});

test('numbers far apart are read in steps that grow while they bring nothing', () => {
  const steps = [['m', 100, 99], ['replayed', 14], ['replayed', 22], ['replayed', 38], ['m', 99, 10], ['replayed', 70]];
  assert.deepEqual(play(steps), ['?11-14', '?15-22', '?23-38', '?39-70', 99, 100]);
});

test('a feed without positions delivers what comes and tells once of what found no room', () => {
  const out = play([['m', 5, 4], ['m', 5, 4], ['room', 0], ['m', 6], ['m', 7], ['room', 1], ['m', 8]], { begin: { recoverable: false } });
  assert.deepEqual(out, [5, 5, 'dropped -', 8]);
});

test('messages without numbers are delivered', () => {
  const feed = new Feed('a');
  feed.begin({ seqNo: 0, recoverable: false });
  assert.deepEqual(feed.take({ data: 1 }, 1), [{ message: { data: 1 } }]);
});

test('a pattern drops doubles and reports holes of each topic', () => {
  const feed = new PatternFeed('a.*');
  const take = (topic, seqNo, prevSeqNo) => feed.take({ topic, seqNo, prevSeqNo }, 1).map(({ message, gap: lost }) => message?.seqNo ?? [lost.topic, lost.fromSeq, lost.toSeq]);
  assert.deepEqual(take('a.x', 7, 3), [7]);
  assert.deepEqual(take('a.y', 1, 0), [1]);
  assert.deepEqual(take('a.x', 7, 3), []);
  assert.deepEqual(take('a.x', 12, 9), [['a.x', 8, 9], 12]);
  assert.deepEqual(feed.lose({ topic: 'a.*', reason: 'backbone' }), [{ gap: { topic: 'a.*', reason: 'backbone' } }]);
  assert.deepEqual(take('a.x', 1, 0), [1]);
});

test('whatever order a gateway sends in, everything comes once and in order', () => {
  // A small generator of its own, so that a failure can be played again by its seed.
  for (let seed = 1; seed <= 2_000; seed += 1) {
    let state = seed;
    const random = (below) => (state = (state * 48271) % 2147483647) % below;
    const feed = new Feed('a', { queued: 8, held: 4 });
    const got = [];
    let waiting = [];
    let room = () => 8 - waiting.length;
    let asked;
    const put = (items) => {
      for (const { message, gap: lost } of items) {
        assert.ok(message, `seed ${seed}: a gap ${JSON.stringify(lost)}`);
        waiting.push(message.seqNo);
      }
      asked ??= feed.ask(room());
    };
    const answer = () => {
      const { fromSeq, toSeq } = asked;
      for (let n = fromSeq; n <= toSeq; n += 1) put(feed.take({ seqNo: n, prevSeqNo: n - 1 }, room()));
      asked = undefined;
      put(feed.repaired({ toSeq, complete: true }, room()));
    };
    feed.begin({ seqNo: 0, recoverable: true });
    for (let n = 1; n <= 60; n += 1) {
      if (random(5) > 0) put(feed.take({ seqNo: n, prevSeqNo: n - 1 }, room()));
      if (random(3) === 0) put(feed.take({ seqNo: n, prevSeqNo: n - 1 }, room()));
      if (asked && random(3) === 0) answer();
      if (random(3) === 0) {
        got.push(...waiting.splice(0, random(9)));
        put(feed.drain(room()));
      }
    }
    put(feed.take({ seqNo: 61, prevSeqNo: 60 }, room()));
    for (let turn = 0; turn < 100 && got.length < 61; turn += 1) {
      if (asked) answer();
      got.push(...waiting.splice(0));
      put(feed.drain(room()));
    }
    assert.deepEqual(got, Array.from({ length: 61 }, (_, n) => n + 1), `seed ${seed}`);
  }
});
