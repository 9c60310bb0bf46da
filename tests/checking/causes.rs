//! Where every loss must have a cause: a gap alone is no excuse.

use super::script::{judge, judge_with_causes};
use crate::checker::Rule;

/// A client that misses the messages 2 and 3 and is told so; `before` happens before that.
fn loss(reason: &str, before: &str) -> String {
    format!(
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           n direct prices.x m2 2
           n direct prices.x m3 3
           n direct prices.x m4 4
           a msg prices.x 1 0 m1
           {before}
           a < {{"type":"gap","topic":"prices.x","fromSeq":2,"toSeq":3,"reason":"{reason}"}}
           a msg prices.x 4 3 m4"#
    )
}

#[track_caller]
fn lacks_a_cause(script: &str, count: usize) {
    let report = judge_with_causes(script);
    assert_eq!(report.broken.get(&Rule::Unexplained), Some(&count), "{report}");
    assert_eq!(report.broken.len(), 1, "{report}");
    judge(script).assert_clean();
}

#[test]
fn a_purge_explains_what_has_expired() {
    for purge in ["purge prices.x 3", "purge > 9", "reset"] {
        let report = judge_with_causes(&loss("expired", purge));
        if purge == "reset" {
            // Numbers do not begin again in this history; the gap is explained all the same.
            assert!(!report.broken.contains_key(&Rule::Unexplained), "{report}");
        } else {
            report.assert_clean();
            assert_eq!(report.told, 2);
        }
    }
}

#[test]
fn nothing_expires_that_was_not_deleted() {
    lacks_a_cause(&loss("expired", ""), 2);
    lacks_a_cause(&loss("expired", "purge prices.y 9"), 2);
    lacks_a_cause(&loss("expired", "purge prices.x 2"), 1);
    lacks_a_cause(&loss("expired", "a stall"), 2);
    lacks_a_cause(&format!("{}\n purge > 9", loss("expired", "")), 2);
}

#[test]
fn only_who_does_not_read_has_something_dropped_but_for_a_flood() {
    judge_with_causes(&loss("dropped", "flood prices.*")).assert_clean();
    lacks_a_cause(&loss("dropped", "flood prices.y"), 2);
    lacks_a_cause(&loss("dropped", "flood prices.x\n @20"), 2);
    lacks_a_cause(&loss("expired", "flood prices.x"), 2);
    judge_with_causes(&loss("dropped", "a stall\n a read")).assert_clean();
    lacks_a_cause(&loss("dropped", ""), 2);
    lacks_a_cause(&loss("dropped", "purge > 9"), 2);
    lacks_a_cause(
        &loss(
            "dropped",
            "a stall\n a close 4409\n a connect pod-1\n a > {\"type\":\"resume\",\"sessionId\":\"s\",\"lastSeqPerTopic\":{\"prices.x\":1}}\n a < {\"type\":\"subscribed\",\"topic\":\"prices.x\",\"seqNo\":1,\"recoverable\":true,\"recovered\":true}",
        ),
        2,
    );
}

#[test]
fn the_backbone_is_no_excuse_where_there_is_a_stream() {
    lacks_a_cause(&loss("backbone", "purge > 9"), 2);
}

#[test]
fn a_gap_has_a_reason_that_the_protocol_knows() {
    let report = judge(&loss("weather", ""));
    assert!(report.broken.contains_key(&Rule::Malformed), "{report}");
}

#[test]
fn a_client_that_does_not_read_may_miss_the_close_frame() {
    judge("a connect pod-1\n a stall\n a read\n a close 1006").assert_clean();
    let late = judge("a connect pod-1\n a stall\n a read\n @20\n a close 1006");
    assert_eq!(late.broken.get(&Rule::Closed), Some(&1), "{late}");
}

/// A message is published, then something happens, and it is published and stored again under the same id.
fn again(between: &str) -> String {
    format!(
        r#"a connect pod-1
           a sub prices.x 0
           a pub prices.x m1
           a msg prices.x 1 0 m1
           a < {{"type":"error","id":"m1","code":"BACKBONE_UNAVAILABLE","message":"…","retryable":true}}
           {between}
           a pub prices.x m1
           a ok m1 7
           a msg prices.x 7 1 m1"#
    )
}

#[test]
fn an_id_is_forgotten_only_when_its_message_is_purged_and_then_the_server_starts_again() {
    judge(&again("purge prices.> 1\n down restarted")).assert_clean();
    for between in
        ["", "purge > 1", "down restarted", "down restarted\n purge > 1", "purge prices.y 1\n down restarted"]
    {
        let report = judge(&again(between));
        assert!(report.broken.contains_key(&Rule::PublishedTwice), "{between}: {report}");
    }
}

#[test]
fn what_is_confirmed_as_a_duplicate_may_have_been_stored_when_it_was_tried_first() {
    let between = |gap: &str, publish: &str| {
        format!(
            r#"a connect pod-1
               a sub prices.x 0
               b connect pod-1
               {publish}
               purge > 1
               a < {{"type":"gap","topic":"prices.x","fromSeq":1,"toSeq":{gap},"reason":"expired"}}
               b pub prices.x m1
               b duplicate m1 1
               n direct prices.x m9 9
               a msg prices.x 9 {gap} m9"#
        )
    };
    let first = r#"b pub prices.x m1
        b < {"type":"error","id":"m1","code":"BACKBONE_UNAVAILABLE","message":"…","retryable":true}"#;
    judge_with_causes(&between("4", first)).assert_clean();
    // Without a first try it was stored after the gap.
    assert!(!judge(&between("4", "")).violations.is_empty());
}
