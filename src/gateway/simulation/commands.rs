//! What clients do of their own accord.

use super::{
    client::{Client, Unconfirmed},
    dice::Dice,
    resource::{PATTERNS, TOPICS},
};

/// Something that a client may do now.
pub(super) fn any(client: &mut Client, at: u64, numbers: &mut u64, dice: &mut Dice) {
    match dice.below(100) {
        0..30 => subscribe(client, at, dice),
        30..40 => unsubscribe(client, at, dice),
        40..65 => publish(client, at, numbers, dice),
        65..75 => replay(client, at, dice),
        75..80 => drop(client.command(at, "ping", "")),
        80..85 => {
            let token = format!(r#""token":"{}""#, client.token);
            client.command(at, "setup", &token);
        }
        85..92 => client.pace = *dice.one_of(&[0, 7, 60, 400, 4_000, 1_000_000]),
        _ => {
            if let Some(publish) = client.again.pop() {
                client.publish(at, publish);
            }
        }
    }
}

/// Goes on where the connection before ended, or begins anew.
pub(super) fn greet(client: &mut Client, at: u64, known: bool, dice: &mut Dice) {
    let token = format!(r#""token":"{}""#, client.token);
    match client.session.clone().filter(|_| dice.percent(85)) {
        Some(session) => {
            // It speaks of one epoch: topics of another are subscribed to one by one.
            let current = |topic: &&String| {
                let epoch = client.epochs.get(*topic);
                epoch.is_none() || epoch == client.epoch.as_ref()
            };
            let topics: Vec<_> = client.wanted.keys().filter(current).cloned().collect();
            let position = |topic: &String| format!(r#""{topic}":{}"#, client.wanted[topic].unwrap_or(0));
            let positions: Vec<_> = topics.iter().map(position).collect();
            let token = if known { String::new() } else { format!(",{token}") };
            let epoch = client.epoch.as_ref().map_or(String::new(), |epoch| format!(r#","epoch":"{epoch}""#));
            let positions = positions.join(",");
            let rest = format!(r#""sessionId":"{session}","lastSeqPerTopic":{{{positions}}}{epoch}{token}"#);
            client.busy.extend(topics);
            client.command(at, "resume", &rest);
        }
        None => {
            client.command(at, "setup", if known { "" } else { &token });
        }
    }
}

/// Subscribes to what it wants and does not have, or to something else.
fn subscribe(client: &mut Client, at: u64, dice: &mut Dice) {
    let missing = client.wanted.keys().find(|topic| !client.held.contains(*topic)).cloned();
    let topic = match missing.filter(|_| dice.percent(70)) {
        Some(topic) => topic,
        None if client.patterns && dice.percent(20) => (*dice.one_of(&PATTERNS)).into(),
        None => (*dice.one_of(&TOPICS)).to_owned(),
    };
    if overlaps(client, &topic) || !client.busy.insert(topic.clone()) {
        return;
    }
    let last = client.wanted.get(&topic).copied().flatten();
    let from = match (last, dice.below(10)) {
        _ if topic.contains(['*', '>']) => String::new(),
        (Some(last), 0..7) => {
            let epoch = client.epochs.get(&topic);
            let epoch = epoch.map_or(String::new(), |epoch| format!(r#","epoch":"{epoch}""#));
            format!(r#","fromSeq":{}{epoch}"#, last + 1)
        }
        (None, 0..2) => format!(r#","fromSeq":{}"#, dice.below(3)),
        (_, 7) => format!(r#","last":{}"#, dice.below(6)),
        _ => String::new(),
    };
    client.command(at, "subscribe", &format!(r#""topic":"{topic}"{from}"#));
}

fn unsubscribe(client: &mut Client, at: u64, dice: &mut Dice) {
    let Some(topic) = one_held(client, dice) else { return };
    if client.busy.insert(topic.clone()) {
        client.command(at, "unsubscribe", &format!(r#""topic":"{topic}""#));
    }
}

fn replay(client: &mut Client, at: u64, dice: &mut Dice) {
    let topic = one_held(client, dice).unwrap_or_else(|| (*dice.one_of(&TOPICS)).into());
    if topic.contains(['*', '>']) || overlaps(client, &topic) || !client.busy.insert(topic.clone()) {
        return;
    }
    let last = client.wanted.get(&topic).copied().flatten().unwrap_or(0);
    let from = last.saturating_sub(dice.below(12) as u64);
    let to =
        if dice.percent(50) { format!(r#","toSeq":{}"#, from + dice.below(9) as u64) } else { String::new() };
    client.command(at, "replay", &format!(r#""topic":"{topic}","fromSeq":{from}{to}"#));
}

fn publish(client: &mut Client, at: u64, numbers: &mut u64, dice: &mut Dice) {
    *numbers += 1;
    let (topic, message) = ((*dice.one_of(&TOPICS)).to_owned(), format!("m{numbers}"));
    let payload = payload(*numbers, dice);
    client.publish(at, Unconfirmed { topic, message, payload });
}

/// A JSON value that is published nowhere else.
pub(super) fn payload(number: u64, dice: &mut Dice) -> String {
    let length = *dice.one_of(&[0, 3, 20, 200]);
    format!(r#"{{"n":{number},"pad":"{}"}}"#, "x".repeat(length))
}

/// Whether it has, or may get, some of this in another way.
fn overlaps(client: &Client, topic: &str) -> bool {
    let first = |topic: &str| topic.split('.').next().map(str::to_owned);
    let pattern = |topic: &str| topic.contains(['*', '>']);
    let others = client.wanted.keys().chain(&client.held).chain(&client.busy);
    let mut others = others.filter(|other| *other != topic && (pattern(other) || pattern(topic)));
    others.any(|other| first(other) == first(topic))
}

fn one_held(client: &Client, dice: &mut Dice) -> Option<String> {
    let at = dice.below(client.held.len());
    client.held.iter().nth(at).cloned()
}
