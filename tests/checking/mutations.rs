//! Good histories in which one thing is changed: each kind of change is found, whatever the history.

mod found;

use std::collections::{BTreeMap, BTreeSet};

use found::{
    Live, Messages, Place, followed, frame, goes_on, insert, is_anchored, lasts, message, messages, pick,
    received, remove, rewrite,
};
use serde_json::Value;

use super::model::{self, Random};
use crate::checker::{Content, History, May, Record, Rule, What, check};

const STEPS: usize = 300;

/// More with `TOPIC_GATEWAY_SEEDS`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    0..std::env::var("TOPIC_GATEWAY_SEEDS").map_or(usual, |count| count.parse().unwrap())
}

/// Changes one thing; `false` if the history has nothing of the kind.
type Mutation = fn(&mut History, &mut Random) -> bool;

/// What is changed, how, and the rules of which one at least must notice.
const MUTATIONS: [(&str, Mutation, &[Rule]); 26] = [
    ("a message is left out", leave_out, &[Rule::Chain, Rule::Missing]),
    ("the last message is left out", leave_out_the_last, &[Rule::Missing]),
    ("what a resume was to bring is left out", leave_out_after_subscribed, &[Rule::Missing]),
    ("two messages change places", swap, &[Rule::Order]),
    ("a message comes twice", double, &[Rule::Order, Rule::Redelivered]),
    ("a byte of the data is changed", change_data, &[Rule::Content]),
    ("a message has another id", change_id, &[Rule::NeverPublished]),
    ("a message has another number", change_seq, &[Rule::WrongNumber]),
    ("a message names another one before it", change_prev, &[Rule::Chain]),
    ("a gap is left out", leave_out_gap, &[Rule::Chain, Rule::NotTold]),
    ("a gap names one too few", narrow_gap, &[Rule::Chain]),
    (
        "`subscribed` is left out",
        leave_out_subscribed,
        &[Rule::NotSubscribed, Rule::AfterUnsubscribed, Rule::Order],
    ),
    ("an answer is left out", leave_out_answer, &[Rule::Unanswered]),
    ("an answer comes twice", double_answer, &[Rule::WrongAnswer]),
    ("a replayed message is left out", leave_out_replayed, &[Rule::Replay]),
    ("a right is missing", leave_out_right, &[Rule::NoRight]),
    ("`draining` is left out", leave_out_draining, &[Rule::NotDraining]),
    ("the close frame is left out", leave_out_close, &[Rule::Closed]),
    ("nobody cut the connection", leave_out_cut, &[Rule::Closed]),
    ("a redelivery is left out", leave_out_redelivery, &[Rule::NotRedelivered]),
    ("an acknowledged message comes again", redeliver, &[Rule::Redelivered]),
    ("a publisher is told another number", change_confirmed, &[Rule::WrongNumber]),
    ("a publisher is told `duplicate` of nothing", claim_duplicate, &[Rule::WrongDuplicate]),
    (
        "a duplicate is told `ok` too",
        confirm_duplicate,
        &[Rule::WrongNumber, Rule::PublishedTwice, Rule::WrongDuplicate],
    ),
    ("a message comes after `unsubscribed`", send_unsubscribed, &[Rule::AfterUnsubscribed]),
    ("a message is delivered as two", deliver_as_two, &[Rule::PublishedTwice]),
];

#[test]
fn a_perfect_gateway_breaks_no_rule() {
    for seed in seeds(60) {
        let report = check(&model::history(seed, STEPS));
        assert!(report.violations.is_empty(), "seed {seed}: {report}");
        assert!(report.owed > 50 && report.connections >= 4, "seed {seed} shows nothing: {report}");
    }
}

#[test]
fn every_kind_of_change_is_found_in_every_history() {
    let mut applied: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in seeds(30) {
        let good = model::history(seed, STEPS);
        for (name, mutate, rules) in MUTATIONS {
            let mut history = good.clone();
            if !mutate(&mut history, &mut Random(seed)) {
                continue;
            }
            *applied.entry(name).or_default() += 1;
            let report = check(&history);
            let found = report.broken.keys().any(|rule| rules.contains(rule));
            assert!(found, "seed {seed}: {name}, and none of {rules:?} notices: {report}");
        }
    }
    for (name, _, _) in MUTATIONS {
        assert!(applied.get(name).is_some_and(|count| *count >= 5), "{name} was hardly tried: {applied:?}");
    }
}

fn leave_out(history: &mut History, random: &mut Random) -> bool {
    let all = messages(history);
    let once = all.live.iter().filter(|live| live.next.is_some() && !comes_again(history, &all, live.place));
    pick(once.collect(), random).is_some_and(|live| remove(history, live.place))
}

/// Whether the client has a copy, by a replay or sent again: then nothing is missing without the live one.
fn comes_again(history: &History, all: &Messages, place: Place) -> bool {
    all.copies.iter().chain(&all.again).any(|copy| copy.0 == place.0 && same(history, *copy, place))
}

fn leave_out_the_last(history: &mut History, random: &mut Random) -> bool {
    let all = messages(history);
    let last = all.live.iter().filter(|live| live.last && lasts(history, live.place));
    let once = last.filter(|live| !comes_again(history, &all, live.place));
    pick(once.collect(), random).is_some_and(|live| remove(history, live.place))
}

fn same(history: &History, a: Place, b: Place) -> bool {
    history.tracks[a.0].records[a.1].what == history.tracks[b.0].records[b.1].what
}

fn leave_out_after_subscribed(history: &mut History, random: &mut Random) -> bool {
    let all = messages(history);
    let whole = |place, frame: &Value| {
        frame["recovered"] == true && goes_on(history, &all, place, frame["topic"].as_str().unwrap())
    };
    let Some((place, mut subscribed)) = received(history, random, &["subscribed"], whole) else {
        return false;
    };
    let topic = subscribed["topic"].as_str().unwrap().to_owned();
    let behind = |live: &&Live| live.place.0 == place.0 && live.place.1 > place.1 && live.topic == topic;
    let first = all.live.iter().find(behind).unwrap();
    if first.next.is_none() || topic == "sure.a" || comes_again(history, &all, first.place) {
        return false;
    }
    subscribed["seqNo"] = first.seq.into();
    rewrite(history, place, &subscribed);
    remove(history, first.place)
}

fn swap(history: &mut History, random: &mut Random) -> bool {
    let Some(((track, one), other)) = followed(history, random) else { return false };
    let records = &mut history.tracks[track].records;
    let what = records[one].what.clone();
    records[one].what = std::mem::replace(&mut records[other].what, what);
    true
}

fn double(history: &mut History, random: &mut Random) -> bool {
    let Some(((track, index), _)) = followed(history, random) else { return false };
    let record = history.tracks[track].records[index].clone();
    insert(history, (track, index + 1), record)
}

fn with_content(history: &mut History, random: &mut Random, change: impl Fn(&mut Content)) -> bool {
    let Some((place, _)) = followed(history, random) else { return false };
    let index = u32::try_from(history.contents.len()).unwrap();
    let own = std::mem::replace(&mut message(history, place).content, index);
    let mut content = (*history.contents[own as usize]).clone();
    change(&mut content);
    history.contents.push(content.into());
    true
}

fn change_data(history: &mut History, random: &mut Random) -> bool {
    with_content(history, random, |content| content.data = content.data.replace(": ", ":"))
}

fn change_id(history: &mut History, random: &mut Random) -> bool {
    with_content(history, random, |content| content.id = Some("another".into()))
}

fn change_seq(history: &mut History, random: &mut Random) -> bool {
    let Some((place, _)) = followed(history, random) else { return false };
    let message = message(history, place);
    *message = message.numbered(message.seq().unwrap() + 10_000, message.prev().unwrap());
    true
}

fn change_prev(history: &mut History, random: &mut Random) -> bool {
    let Some(((track, _), next)) = followed(history, random) else { return false };
    let message = message(history, (track, next));
    *message = message.numbered(message.seq().unwrap(), message.prev().unwrap() - 1);
    true
}

fn leave_out_gap(history: &mut History, random: &mut Random) -> bool {
    let all = messages(history);
    let needed = |(track, index): Place, gap: &Value| {
        let before = frame(&history.tracks[track].records[index - 1]);
        let topic = gap["topic"].as_str().unwrap();
        let dropped = gap["reason"] == "dropped" && is_anchored(history, &all, (track, index), topic);
        (dropped || before["recovered"] == false) && goes_on(history, &all, (track, index), topic)
    };
    received(history, random, &["gap"], needed).is_some_and(|(place, _)| remove(history, place))
}

fn narrow_gap(history: &mut History, random: &mut Random) -> bool {
    let all = messages(history);
    let numbered = |place, gap: &Value| {
        let topic = gap["topic"].as_str().unwrap();
        gap["reason"] == "dropped"
            && gap["toSeq"].is_u64()
            && is_anchored(history, &all, place, topic)
            && goes_on(history, &all, place, topic)
    };
    let Some((place, mut gap)) = received(history, random, &["gap"], numbered) else { return false };
    gap["toSeq"] = (gap["toSeq"].as_u64().unwrap() - 1).into();
    rewrite(history, place, &gap)
}

fn leave_out_subscribed(history: &mut History, random: &mut Random) -> bool {
    let all = messages(history);
    let used = |place, frame: &Value| {
        let first = frame["recovered"].is_null() && frame["id"].is_u64();
        first && goes_on(history, &all, place, frame["topic"].as_str().unwrap())
    };
    received(history, random, &["subscribed"], used).is_some_and(|(place, _)| remove(history, place))
}

fn leave_out_answer(history: &mut History, random: &mut Random) -> bool {
    let kinds = ["ready", "pong", "ack", "error", "unsubscribed", "replayed"];
    let last = |place, _: &Value| lasts(history, place);
    received(history, random, &kinds, last).is_some_and(|(place, _)| remove(history, place))
}

fn double_answer(history: &mut History, random: &mut Random) -> bool {
    let any = |_, _: &Value| true;
    let Some((place, _)) = received(history, random, &["pong", "ack", "replayed"], any) else { return false };
    let record = history.tracks[place.0].records[place.1].clone();
    insert(history, place, record)
}

fn leave_out_replayed(history: &mut History, random: &mut Random) -> bool {
    pick(messages(history).replayed, random).is_some_and(|place| remove(history, place))
}

fn leave_out_right(history: &mut History, random: &mut Random) -> bool {
    let place = messages(history).live.into_iter().filter(|live| live.topic == "prices.a");
    let Some(live) = pick(place.collect(), random) else { return false };
    history.tracks[live.place.0].records.retain(|record| match &record.what {
        What::Right(right) => right.0 != May::Subscribe || right.1 != "prices.*",
        _ => true,
    });
    true
}

fn leave_out_draining(history: &mut History, random: &mut Random) -> bool {
    let any = |_, _: &Value| true;
    received(history, random, &["draining"], any).is_some_and(|(place, _)| remove(history, place))
}

fn places(history: &History, wished: impl Fn(&What) -> bool) -> Vec<Place> {
    let tracks = history.tracks.iter().enumerate();
    let all = tracks.flat_map(|(track, of)| (0..of.records.len()).map(move |index| (track, index)));
    all.filter(|(track, index)| wished(&history.tracks[*track].records[*index].what)).collect()
}

fn leave_out_close(history: &mut History, random: &mut Random) -> bool {
    let closes = places(history, |what| matches!(what, What::Closed(1000 | 1012)));
    let Some((track, index)) = pick(closes, random) else { return false };
    history.tracks[track].records[index].what = What::Closed(1006);
    true
}

fn leave_out_cut(history: &mut History, random: &mut Random) -> bool {
    let cuts = places(history, |what| matches!(what, What::Cut));
    pick(cuts, random).is_some_and(|place| remove(history, place))
}

fn leave_out_redelivery(history: &mut History, random: &mut Random) -> bool {
    // One that is followed by another one of the same message: nothing has acknowledged it.
    let again = messages(history).again;
    let twice: Vec<_> = again
        .iter()
        .copied()
        .filter(|one| {
            let of_it = |other: &&Place| one.0 == other.0 && one.1 < other.1 && same(history, *one, **other);
            let records = &history.tracks[one.0].records;
            let at = |place: &Place| records[place.1].at;
            // What a gap gives up need not come again.
            let given_up = |other: &Place| {
                let before = records[..other.1].iter().rev();
                let mut near = before.take_while(|record| record.at + 8_000_000_000 > at(one));
                near.any(|record| frame(record)["type"] == "gap")
            };
            let other = again.iter().find(of_it);
            other.is_some_and(|other| at(other) - at(one) < 6_000_000_000 && !given_up(other))
        })
        .collect();
    pick(twice, random).is_some_and(|place| remove(history, place))
}

fn redeliver(history: &mut History, random: &mut Random) -> bool {
    // At the end, everything has been acknowledged.
    let sure = messages(history).live.into_iter();
    let sure =
        sure.filter(|live| live.topic == "sure.a" && live.next.is_some() && lasts(history, live.place));
    let ends = |live: &Live| {
        let kinds = BTreeSet::from(["subscribed", "unsubscribed"]);
        history.tracks[live.place.0].records[live.place.1..].iter().any(|record| {
            let frame = frame(record);
            frame["topic"] == "sure.a" && kinds.contains(frame["type"].as_str().unwrap_or_default())
        })
    };
    let Some(live) = pick(sure.filter(|live| !ends(live)).collect(), random) else { return false };
    let record = Record { at: history.end - 1, ..history.tracks[live.place.0].records[live.place.1].clone() };
    let end = history.tracks[live.place.0].records.len();
    insert(history, (live.place.0, end), record)
}

fn change_confirmed(history: &mut History, random: &mut Random) -> bool {
    let live = messages(history).live;
    let ids: BTreeSet<_> = live
        .iter()
        .filter_map(|live| match &history.tracks[live.place.0].records[live.place.1].what {
            What::Message(message) => history.contents[message.content as usize].id.clone(),
            _ => None,
        })
        .collect();
    let seen = |_, ack: &Value| ack["status"] == "ok" && ids.contains(ack["messageId"].as_str().unwrap());
    let Some((place, mut ack)) = received(history, random, &["ack"], seen) else { return false };
    ack["seqNo"] = (ack["seqNo"].as_u64().unwrap() + 10_000).into();
    rewrite(history, place, &ack)
}

fn claim_duplicate(history: &mut History, random: &mut Random) -> bool {
    let ok = |_, ack: &Value| ack["status"] == "ok";
    let Some((place, mut ack)) = received(history, random, &["ack"], ok) else { return false };
    ack["status"] = "duplicate".into();
    rewrite(history, place, &ack)
}

/// A retry is told `ok`, and so was the first attempt, which is told a number of its own.
fn confirm_duplicate(history: &mut History, random: &mut Random) -> bool {
    let duplicate = |_, ack: &Value| ack["status"] == "duplicate";
    let Some(((track, index), mut ack)) = received(history, random, &["ack"], duplicate) else {
        return false;
    };
    ack["status"] = "ok".into();
    rewrite(history, (track, index), &ack);
    // The retry stands before its answer, and the error that answers the first attempt before it.
    let mut first = frame(&history.tracks[track].records[index - 2]);
    (first["type"], first["messageId"]) = ("ack".into(), ack["messageId"].clone());
    (first["status"], first["seqNo"]) = ("ok".into(), ack["seqNo"].clone());
    rewrite(history, (track, index - 2), &first)
}

fn send_unsubscribed(history: &mut History, random: &mut Random) -> bool {
    let live = messages(history).live;
    let had = |place: Place, frame: &Value| {
        live.iter()
            .any(|live| live.place.0 == place.0 && live.place.1 < place.1 && frame["topic"] == live.topic)
    };
    let Some((place, frame)) = received(history, random, &["unsubscribed"], had) else { return false };
    let before = live
        .iter()
        .rfind(|live| live.place.0 == place.0 && live.place.1 < place.1 && frame["topic"] == live.topic);
    let record = Record {
        at: history.tracks[place.0].records[place.1].at,
        ..history.tracks[place.0].records[before.unwrap().place.1].clone()
    };
    insert(history, (place.0, place.1 + 1), record)
}

fn deliver_as_two(history: &mut History, random: &mut Random) -> bool {
    let live = messages(history).live;
    let direct = |live: &Live| {
        history.publishes.iter().any(|publish| {
            let What::Message(message) = &history.tracks[live.place.0].records[live.place.1].what else {
                return false;
            };
            publish.user.is_none() && publish.id == history.contents[message.content as usize].id
        })
    };
    let ends = live.into_iter().filter(|live| live.last && !direct(live)).collect();
    let Some(live) = pick(ends, random) else { return false };
    let mut record = history.tracks[live.place.0].records[live.place.1].clone();
    if let What::Message(message) = &mut record.what {
        *message = message.numbered(live.seq + 10_000, live.seq);
    }
    insert(history, (live.place.0, live.place.1 + 1), record)
}
