//! A history written by hand, one thing a line, a millisecond apart.
//!
//! ```text
//! @12                          second 12 begins
//! a connect pod-1              a close 1012        a cut            kill pod-1        reset
//! a stall                      a read              reads nothing, and reads again
//! purge prices.> 5             deletes messages of these topics up to this number
//! down restarted               the backbone
//! flood prices.x               its messages are large
//! a > {…}                      a < {…}             any command and frame
//! a sub prices.x 5             subscribe and its answer with position 5, recoverable
//! a msg prices.x 7 5 m7        a message with `seqNo`, `prevSeqNo` and id; its data says the id
//! a pub prices.x m7            publishes it        a ok m7 7        its answer
//! a direct prices.x m7 7       publishes straight to NATS
//! a grant orders.>             a revoke orders.>   may subscribe; everybody may `prices.>` from the start
//! ```

use std::collections::BTreeMap;

use serde_json::json;

use crate::checker::{
    Body, ClientLog, History, Limits, Mark, May, Outcome, Publish, Recorder, Report, check,
};

const SECOND: u64 = 1_000_000_000;

/// The history that a script tells.
pub(super) fn history(script: &str) -> History {
    history_within(script, Limits::default())
}

fn history_within(script: &str, limits: Limits) -> History {
    let limits = Limits {
        ack_timeout: 5 * SECOND,
        ack_tolerance: SECOND,
        at_least_once: vec!["prices.sure.>".into()],
        ..limits
    };
    let recorder = Recorder::new(limits);
    let mut logs = BTreeMap::new();
    let mut now = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        now += SECOND / 1000;
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["kill", pod] => recorder.mark(now, Mark::GatewayKilled(pod.into())),
            ["purge", pattern, upto] => {
                recorder.mark(now, Mark::Purged { pattern: pattern.into(), upto: upto.parse().unwrap() });
            }
            ["flood", pattern] => recorder.mark(now, Mark::Flooded(pattern.into())),
            ["down", how] => recorder.mark(now, Mark::BackboneDown(how.into())),
            ["reset"] => recorder.mark(now, Mark::StreamReset),
            [who, "direct", topic, id, seq] => recorder.publish(Publish {
                who: who.into(),
                user: None,
                topic: topic.into(),
                id: Some(id.into()),
                body: Body::Text(json!({"of": id}).to_string()),
                began: now,
                ended: now,
                outcome: Outcome::Ok(seq.parse().ok()),
            }),
            [time] => now = time.trim_start_matches('@').parse::<u64>().unwrap() * SECOND,
            [who, ..] => {
                let log = logs.entry(who.to_owned());
                let log = log.or_insert_with(|| recorder.client(who, who, &["prices.>"]));
                step(log, now, &words[1..], line[who.len()..].trim());
            }
            [] => {}
        }
    }
    drop(logs);
    recorder.finish(now + 60 * SECOND)
}

fn step(log: &mut ClientLog, now: u64, words: &[&str], line: &str) {
    match words[..] {
        ["connect", gateway] => log.connected(now, gateway),
        ["close", code] => log.closed(now, code.parse().unwrap()),
        ["cut"] => log.cut(now),
        ["stall"] => log.stalled(now, true),
        ["read"] => log.stalled(now, false),
        ["grant", pattern] => log.right(now, May::Subscribe, pattern, true),
        ["revoke", pattern] => log.right(now, May::Subscribe, pattern, false),
        ["sub", topic, seq] => {
            let seq: u64 = seq.parse().unwrap();
            log.sent(now, &json!({"type": "subscribe", "topic": topic}).to_string());
            let answer = json!({"type": "subscribed", "topic": topic, "seqNo": seq, "recoverable": true});
            log.received(now, &answer.to_string());
        }
        ["msg", topic, seq, prev, id] => {
            let text = format!(
                r#"{{"type":"message","topic":"{topic}","seqNo":{seq},"prevSeqNo":{prev},"messageId":"{id}","data":{{"of":"{id}"}}}}"#
            );
            log.received(now, &text);
        }
        ["pub", topic, id] => {
            let command =
                json!({"type": "publish", "id": id, "topic": topic, "messageId": id, "payload": {"of": id}});
            log.sent(now, &command.to_string());
        }
        [answer @ ("ok" | "duplicate"), id, seq] => {
            let seq: u64 = seq.parse().unwrap();
            let answer = json!({"type": "ack", "id": id, "messageId": id, "status": answer, "seqNo": seq});
            log.received(now, &answer.to_string());
        }
        [">", ..] => log.sent(now, line[1..].trim()),
        ["<", ..] => log.received(now, line[1..].trim()),
        _ => panic!("not in the language of scripts: {line}"),
    }
}

/// Judges a script.
pub(super) fn judge(script: &str) -> Report {
    check(&history(script))
}

/// Judges a script of a run in which every loss must have a cause that is written down.
pub(super) fn judge_with_causes(script: &str) -> Report {
    check(&history_within(script, Limits { explained: true, ..Limits::default() }))
}
