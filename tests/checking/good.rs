//! Histories that break no rule.

use super::script::{history, judge};
use crate::checker::{History, check};

#[track_caller]
fn passes(script: &str) {
    judge(script).assert_clean();
}

#[test]
fn what_is_published_and_received_in_order_is_good() {
    let report = judge(
        "a connect pod-1
         a sub prices.x 3
         b connect pod-2
         b pub prices.x m5
         b ok m5 5
         a msg prices.x 5 3 m5
         b pub prices.x m9
         a msg prices.x 9 5 m9
         b ok m9 9",
    );
    report.assert_clean();
    assert_eq!((report.clients, report.connections, report.published, report.received), (2, 2, 2, 2));
    assert_eq!((report.owed, report.told), (2, 0));
}

#[test]
fn a_gap_names_what_does_not_come() {
    for gap in [
        r#"{"type":"gap","topic":"prices.x","fromSeq":2,"toSeq":3,"reason":"dropped"}"#,
        r#"{"type":"gap","topic":"prices.x","fromSeq":2,"reason":"dropped"}"#,
        r#"{"type":"gap","topic":"prices.x","toSeq":3,"reason":"dropped"}"#,
        r#"{"type":"gap","topic":"prices.x","reason":"backbone"}"#,
    ] {
        let report = judge(&format!(
            "a connect pod-1
             a sub prices.x 0
             n direct prices.x m1 1
             n direct prices.x m2 2
             n direct prices.x m3 3
             n direct prices.x m4 4
             a msg prices.x 1 0 m1
             a < {gap}
             a msg prices.x 4 3 m4"
        ));
        report.assert_clean();
        assert_eq!((report.owed, report.told), (4, 2), "{gap}");
    }
}

#[test]
fn a_killed_gateways_client_goes_on_elsewhere() {
    passes(
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           a msg prices.x 1 0 m1
           kill pod-1
           a close 1006
           n direct prices.x m2 2
           a connect pod-2
           a > {"type":"resume","id":1,"sessionId":"s","lastSeqPerTopic":{"prices.x":1}}
           a < {"type":"ready","id":1,"sessionId":"t","resumed":true}
           a < {"type":"subscribed","topic":"prices.x","seqNo":1,"recoverable":true,"recovered":true}
           a msg prices.x 2 1 m2
           n direct prices.x m3 3
           a msg prices.x 3 2 m3"#,
    );
}

#[test]
fn a_replay_stands_between_the_command_and_its_answer() {
    passes(
        r#"n direct prices.x m1 1
           n direct prices.x m2 2
           n direct prices.x m3 3
           a connect pod-1
           a sub prices.x 3
           a > {"type":"replay","id":"r","topic":"prices.x","fromSeq":1,"toSeq":2}
           n direct prices.x m4 4
           a msg prices.x 4 3 m4
           a msg prices.x 1 0 m1
           a msg prices.x 2 1 m2
           a < {"type":"replayed","id":"r","topic":"prices.x","fromSeq":1,"toSeq":2,"complete":true}"#,
    );
}

#[test]
fn a_replay_may_catch_up_with_live_messages() {
    passes(
        r#"n direct prices.x m1 1
           a connect pod-1
           a sub prices.x 1
           n direct prices.x m2 2
           a > {"type":"replay","topic":"prices.x","fromSeq":1}
           a msg prices.x 1 0 m1
           a msg prices.x 2 1 m2
           a < {"type":"replayed","topic":"prices.x","fromSeq":1,"toSeq":2,"complete":true}
           a msg prices.x 2 1 m2"#,
    );
}

#[test]
fn a_stream_that_is_made_anew_is_told_and_numbers_begin_again() {
    passes(
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           n direct prices.x m2 2
           a msg prices.x 1 0 m1
           reset
           n direct prices.x n1 1
           a < {"type":"subscribed","topic":"prices.x","seqNo":0,"recoverable":true,"recovered":false}
           a < {"type":"gap","topic":"prices.x","reason":"expired"}
           n direct prices.x n2 2
           a msg prices.x 2 1 n2"#,
    );
}

#[test]
fn what_is_not_acknowledged_comes_again() {
    passes(
        r#"n direct prices.sure.x m1 1
           n direct prices.sure.x m2 2
           a connect pod-1
           a > {"type":"subscribe","topic":"prices.sure.x","fromSeq":1}
           a < {"type":"subscribed","topic":"prices.sure.x","seqNo":0,"recoverable":true,"recovered":true}
           a msg prices.sure.x 1 0 m1
           a msg prices.sure.x 2 1 m2
           a > {"type":"ack","messageId":"m2"}
           @5
           a msg prices.sure.x 1 0 m1
           @6
           a > {"type":"ack","topic":"prices.sure.x","seqNo":2}
           @60
           a > {"type":"ping","id":1}
           a < {"type":"pong","id":1}"#,
    );
}

#[test]
fn what_a_gap_gives_up_need_not_come_again_but_may() {
    passes(
        r#"n direct prices.sure.x m1 1
           n direct prices.sure.x m2 2
           a connect pod-1
           a > {"type":"subscribe","topic":"prices.sure.x","fromSeq":1}
           a < {"type":"subscribed","topic":"prices.sure.x","seqNo":0,"recoverable":true,"recovered":true}
           a msg prices.sure.x 1 0 m1
           a msg prices.sure.x 2 1 m2
           a < {"type":"gap","topic":"prices.sure.x","fromSeq":1,"toSeq":2,"reason":"expired"}
           @30
           a msg prices.sure.x 2 1 m2
           a > {"type":"ack","messageId":"m2"}"#,
    );
}

#[test]
fn what_crossed_its_acknowledgement_may_be_read_late() {
    passes(
        r#"n direct prices.sure.x m1 1
           a connect pod-1
           a > {"type":"subscribe","topic":"prices.sure.x","fromSeq":1}
           a < {"type":"subscribed","topic":"prices.sure.x","seqNo":0,"recoverable":true,"recovered":true}
           a msg prices.sure.x 1 0 m1
           @5
           a > {"type":"ack","messageId":"m1"}
           a stall
           @20
           a read
           a msg prices.sure.x 1 0 m1"#,
    );
}

#[test]
fn a_retry_is_told_that_it_is_one() {
    passes(
        "a connect pod-1
           a pub prices.x m1
           a cut
           a close 1006
           a connect pod-1
           a pub prices.x m1
           a duplicate m1 4",
    );
}

#[test]
fn a_retry_of_what_was_left_open_may_be_told_ok() {
    passes(
        r#"a connect pod-1
           a pub prices.x m1
           a < {"type":"error","id":"m1","code":"BACKBONE_UNAVAILABLE","message":"…","retryable":true}
           a pub prices.x m1
           a ok m1 4"#,
    );
}

#[test]
fn a_body_that_is_not_json_is_compared_as_base64() {
    let mut history = history(
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           a < {"type":"message","topic":"prices.x","seqNo":1,"prevSeqNo":0,"messageId":"m1","encoding":"base64","data":"/wA="}"#,
    );
    history.publishes[0].body = crate::checker::Body::Bytes(vec![0xff, 0]);
    check(&history).assert_clean();
}

#[test]
fn white_space_of_the_body_is_part_of_the_data() {
    let mut history = history(
        r#"a connect pod-1
           a sub prices.x 0
           n direct prices.x m1 1
           a < {"type":"message","topic":"prices.x","seqNo":1,"prevSeqNo":0,"messageId":"m1","data": [1] }"#,
    );
    history.publishes[0].body = crate::checker::Body::Text(" [1] ".into());
    check(&history).assert_clean();
    history.publishes[0].body = crate::checker::Body::Text("[1]".into());
    assert_eq!(check(&history).violations.len(), 1);
}

#[test]
fn a_history_can_be_written_and_read_again() {
    let history = history(
        r#"a connect pod-1
           a sub prices.x 0
           kill pod-2
           a pub prices.x m1
           a ok m1 1
           n direct prices.y m2 2
           a msg prices.x 1 0 m1
           a < {"type":"draining","reconnectAfterMs":3}
           a revoke prices.>
           a cut
           a close 1006"#,
    );
    let mut file = Vec::new();
    history.write(&mut file).unwrap();
    let read = History::read(file.as_slice()).unwrap();
    assert_eq!(read, history);
    assert_eq!(check(&read), check(&history));
}
