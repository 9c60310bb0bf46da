//! For each rule, histories that break it and no other.

use super::script::judge;
use crate::checker::Rule;

/// Breaks exactly this rule, once.
#[track_caller]
fn breaks(rule: Rule, script: &str) {
    let report = judge(script);
    let broken: Vec<_> = report.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(broken, [rule], "{report}");
}

const SUBSCRIBED: &str = "a connect pod-1
    a sub prices.x 0
    n direct prices.x m1 1
    n direct prices.x m2 2
    n direct prices.x m3 3";

#[test]
fn the_last_message_never_came() {
    breaks(Rule::Missing, &format!("{SUBSCRIBED}\n a msg prices.x 1 0 m1\n a msg prices.x 2 1 m2"));
}

#[test]
fn a_message_in_between_never_came_though_the_chain_is_whole() {
    breaks(Rule::Missing, &format!("{SUBSCRIBED}\n a msg prices.x 1 0 m1\n a msg prices.x 3 1 m3"));
}

#[test]
fn the_position_is_ahead_of_what_was_published_later() {
    breaks(
        Rule::Missing,
        "a connect pod-1
         a sub prices.x 9
         n direct prices.x m1 1",
    );
}

#[test]
fn a_gap_does_not_name_what_was_published_after_it() {
    breaks(
        Rule::Missing,
        r#"a connect pod-1
           a sub prices.x 0
           a < {"type":"gap","topic":"prices.x","reason":"backbone"}
           n direct prices.x m1 1
           n direct prices.x m2 2
           a msg prices.x 2 1 m2"#,
    );
}

#[test]
fn a_gap_names_too_little() {
    breaks(
        Rule::Missing,
        &format!(
            r#"{SUBSCRIBED}
            a < {{"type":"gap","topic":"prices.x","fromSeq":2,"toSeq":2,"reason":"dropped"}}
            a msg prices.x 3 2 m3"#
        ),
    );
}

#[test]
fn a_resume_leaves_something_out() {
    breaks(
        Rule::Missing,
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           a msg prices.x 1 0 m1
           a close 1000
           n direct prices.x m2 2
           n direct prices.x m3 3
           a connect pod-2
           a > {"type":"resume","id":1,"sessionId":"s","lastSeqPerTopic":{"prices.x":1}}
           a < {"type":"ready","id":1,"sessionId":"t","resumed":true}
           a < {"type":"subscribed","topic":"prices.x","seqNo":2,"recoverable":true,"recovered":true}
           a msg prices.x 3 2 m3"#,
    );
}

#[test]
fn a_message_comes_twice() {
    breaks(
        Rule::Order,
        &format!(
            "{SUBSCRIBED}
            a msg prices.x 1 0 m1
            a msg prices.x 2 1 m2
            a msg prices.x 2 1 m2
            a msg prices.x 3 2 m3"
        ),
    );
}

#[test]
fn the_number_before_is_another() {
    breaks(
        Rule::Chain,
        &format!("{SUBSCRIBED}\n a msg prices.x 1 0 m1\n a msg prices.x 2 0 m2\n a msg prices.x 3 2 m3"),
    );
}

#[test]
fn a_hole_is_not_told() {
    breaks(
        Rule::Chain,
        "a connect pod-1
         a sub prices.x 0
         n direct prices.x m9 9
         a msg prices.x 9 7 m9",
    );
}

#[test]
fn numbers_begin_again_in_silence() {
    breaks(
        Rule::NotTold,
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           a msg prices.x 1 0 m1
           reset
           a < {"type":"subscribed","topic":"prices.x","seqNo":0,"recoverable":true}
           n direct prices.x n1 1
           a msg prices.x 1 0 n1"#,
    );
}

#[test]
fn a_later_life_of_the_stream_goes_on_in_silence() {
    // Its message fits and counts as nothing: what is missing is that it comes again, or a gap.
    breaks(
        Rule::Missing,
        "a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           a msg prices.x 1 0 m1
           reset
           n direct prices.x n2 2
           a msg prices.x 2 1 n2",
    );
}

#[test]
fn not_recovered_but_nothing_says_what() {
    breaks(
        Rule::NotTold,
        r#"a connect pod-1
           a > {"type":"subscribe","id":1,"topic":"prices.x","fromSeq":4}
           a < {"type":"subscribed","id":1,"topic":"prices.x","seqNo":3,"recoverable":true,"recovered":false}"#,
    );
}

#[test]
fn a_message_comes_before_subscribed() {
    breaks(Rule::NotSubscribed, "a connect pod-1\n n direct prices.x m1 1\n a msg prices.x 1 0 m1");
}

#[test]
fn a_message_comes_after_unsubscribed() {
    breaks(
        Rule::AfterUnsubscribed,
        r#"a connect pod-1
           a sub prices.x 0
           a > {"type":"unsubscribe","topic":"prices.x","id":1}
           a < {"type":"unsubscribed","topic":"prices.x","id":1}
           n direct prices.x m1 1
           a msg prices.x 1 0 m1"#,
    );
}

#[test]
fn a_message_comes_after_the_subscription_was_ended() {
    breaks(
        Rule::AfterUnsubscribed,
        r#"a connect pod-1
           a sub prices.x 0
           a < {"type":"error","code":"ACL_DENIED","message":"…","topic":"prices.x","retryable":false}
           n direct prices.x m1 1
           a msg prices.x 1 0 m1"#,
    );
}

#[test]
fn a_replay_leaves_something_out() {
    breaks(
        Rule::Replay,
        r#"n direct prices.x m1 1
           n direct prices.x m2 2
           n direct prices.x m3 3
           a connect pod-1
           a > {"type":"replay","id":"r","topic":"prices.x","fromSeq":1}
           a msg prices.x 1 0 m1
           a msg prices.x 3 2 m3
           a < {"type":"replayed","id":"r","topic":"prices.x","fromSeq":1,"toSeq":3,"complete":true}"#,
    );
}

#[test]
fn a_replay_gives_what_was_not_asked_for() {
    breaks(
        Rule::Order,
        r#"n direct prices.x m1 1
           n direct prices.x m2 2
           a connect pod-1
           a sub prices.x 2
           a > {"type":"replay","id":"r","topic":"prices.x","fromSeq":2,"toSeq":2}
           a msg prices.x 1 0 m1
           a msg prices.x 2 1 m2
           a < {"type":"replayed","id":"r","topic":"prices.x","fromSeq":2,"toSeq":2,"complete":true}"#,
    );
}

#[test]
fn a_command_has_no_answer() {
    breaks(Rule::Unanswered, "a connect pod-1\n a > {\"type\":\"ping\",\"id\":1}");
}

#[test]
fn a_command_is_answered_twice_or_wrongly() {
    let ping = "a connect pod-1\n a > {\"type\":\"ping\",\"id\":1}\n";
    breaks(
        Rule::WrongAnswer,
        &format!("{ping} a < {{\"type\":\"pong\",\"id\":1}}\n a < {{\"type\":\"pong\",\"id\":1}}"),
    );
    breaks(Rule::WrongAnswer, &format!("{ping} a < {{\"type\":\"ready\",\"id\":1}}"));
    breaks(Rule::WrongAnswer, "a connect pod-1\n a < {\"type\":\"pong\",\"id\":1}");
}

#[test]
fn a_frame_is_not_one_of_the_protocol() {
    for frame in ["nonsense", "{}", r#"{"type":"news"}"#, r#"{"type":"message","topic":"prices.x"}"#] {
        breaks(Rule::Malformed, &format!("a connect pod-1\n a < {frame}"));
    }
}

#[test]
fn a_frame_comes_without_the_right_to_it() {
    breaks(
        Rule::NoRight,
        r#"a connect pod-1
           a < {"type":"subscribed","topic":"orders.x","seqNo":0,"recoverable":true}"#,
    );
    breaks(
        Rule::NoRight,
        "a connect pod-1
         a sub prices.x 0
         a revoke prices.>
         @5
         n direct prices.x m1 1
         a msg prices.x 1 0 m1",
    );
    breaks(Rule::NoRight, "a connect pod-1\n a pub orders.x m1\n a ok m1 1");
}

#[test]
fn one_key_makes_two_messages() {
    breaks(
        Rule::PublishedTwice,
        r#"a connect pod-1
           a sub prices.x 0
           b connect pod-1
           b pub prices.x m1
           b < {"type":"error","id":"m1","code":"BACKBONE_UNAVAILABLE","message":"…","retryable":true}
           b pub prices.x m1
           b < {"type":"error","id":"m1","code":"BACKBONE_UNAVAILABLE","message":"…","retryable":true}
           a msg prices.x 1 0 m1
           a msg prices.x 2 1 m1"#,
    );
}

#[test]
fn one_key_is_confirmed_twice() {
    breaks(
        Rule::PublishedTwice,
        "b connect pod-1
         b pub prices.x m1
         b ok m1 1
         b pub prices.x m1
         b ok m1 2",
    );
}

#[test]
fn a_duplicate_of_nothing() {
    breaks(Rule::WrongDuplicate, "b connect pod-1\n b pub prices.x m1\n b duplicate m1 1");
}

#[test]
fn a_duplicate_with_another_number() {
    breaks(
        Rule::WrongDuplicate,
        "b connect pod-1
         b pub prices.x m1
         b ok m1 1
         b pub prices.x m1
         b duplicate m1 2",
    );
}

#[test]
fn a_number_is_not_the_one_that_the_publisher_was_told() {
    breaks(
        Rule::WrongNumber,
        r#"a connect pod-1
           b connect pod-1
           b pub prices.x m1
           b ok m1 1
           a < {"type":"subscribed","topic":"prices.x","seqNo":1,"recoverable":false}
           a msg prices.x 2 1 m1"#,
    );
}

#[test]
fn a_publish_on_a_recoverable_topic_is_confirmed_without_a_number() {
    breaks(
        Rule::WrongNumber,
        r#"a connect pod-1
           a sub prices.x 0
           a > {"type":"publish","id":1,"topic":"prices.x","messageId":"m1","payload":{"of":"m1"}}
           a < {"type":"ack","id":1,"messageId":"m1","status":"ok"}
           a msg prices.x 1 0 m1"#,
    );
}

#[test]
fn numbers_do_not_follow_the_time_of_publishing() {
    breaks(Rule::Numbering, "n direct prices.x m5 5\n n direct prices.x m4 4");
}

#[test]
fn two_messages_have_one_number() {
    breaks(
        Rule::Numbering,
        r#"a connect pod-1
           b connect pod-1
           a sub prices.x 0
           b sub prices.x 0
           a > {"type":"publish","topic":"prices.x","messageId":"m1","payload":{"of":"m1"}}
           a > {"type":"publish","topic":"prices.x","messageId":"m2","payload":{"of":"m2"}}
           a msg prices.x 1 0 m1
           b msg prices.x 1 0 m2"#,
    );
}

#[test]
fn an_unacknowledged_message_does_not_come_again() {
    breaks(
        Rule::NotRedelivered,
        "a connect pod-1
         a sub prices.sure.x 0
         n direct prices.sure.x m1 1
         a msg prices.sure.x 1 0 m1",
    );
}

#[test]
fn a_gap_is_no_excuse_for_what_is_behind_it_or_was_late_before() {
    let gap = r#"a < {"type":"gap","topic":"prices.sure.x","fromSeq":1,"toSeq":1,"reason":"expired"}"#;
    let told = |before: &str, after: &str| {
        let message = "n direct prices.sure.x m1 1\n a msg prices.sure.x 1 0 m1";
        breaks(
            Rule::NotRedelivered,
            &format!("a connect pod-1\n a sub prices.sure.x 0\n {message}\n {before}\n {gap}\n {after}"),
        );
    };
    told("@9", "");
    told("", "n direct prices.sure.x m2 2\n a msg prices.sure.x 2 1 m2");
}

const ACKNOWLEDGED: &str = r#"a connect pod-1
    a sub prices.sure.x 0
    n direct prices.sure.x m1 1
    a msg prices.sure.x 1 0 m1
    a > {"type":"ack","topic":"prices.sure.x","seqNo":1}
    a > {"type":"ping","id":1}
    a < {"type":"pong","id":1}"#;

#[test]
fn an_acknowledged_message_comes_again() {
    breaks(Rule::Redelivered, &format!("{ACKNOWLEDGED}\n @5\n a msg prices.sure.x 1 0 m1"));
}

#[test]
fn a_message_comes_again_too_early() {
    breaks(Rule::Redelivered, &format!("{ACKNOWLEDGED}\n a msg prices.sure.x 1 0 m1"));
}

#[test]
fn a_body_is_changed() {
    breaks(
        Rule::Content,
        &format!(
            r#"{SUBSCRIBED}
            a < {{"type":"message","topic":"prices.x","seqNo":1,"prevSeqNo":0,"messageId":"m1","data":{{"of": "m1"}}}}
            a msg prices.x 2 1 m2
            a msg prices.x 3 2 m3"#
        ),
    );
}

#[test]
fn a_message_was_never_published() {
    breaks(Rule::NeverPublished, "a connect pod-1\n a sub prices.x 0\n a msg prices.x 1 0 m1");
}

#[test]
fn a_refused_publish_is_delivered() {
    breaks(
        Rule::NeverPublished,
        r#"a connect pod-1
           a sub prices.x 0
           a pub prices.x m1
           a < {"type":"error","id":"m1","code":"LIMIT_EXCEEDED","message":"…","retryable":false}
           a msg prices.x 1 0 m1"#,
    );
}

#[test]
fn a_connection_ends_without_a_close_frame() {
    breaks(Rule::Closed, "a connect pod-1\n a close 1006");
    breaks(Rule::Closed, "a connect pod-1\n kill pod-2\n a close 1006");
    breaks(Rule::Closed, "a connect pod-1\n a close 1011");
}

#[test]
fn a_drain_is_not_announced() {
    breaks(Rule::NotDraining, "a connect pod-1\n a close 1012");
}
