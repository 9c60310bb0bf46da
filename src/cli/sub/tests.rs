use tokio::join;

use super::*;
use crate::cli::client::fake::Gateway;

/// What `sub` ended with, and what it printed on either side.
struct Ended {
    result: Result<(), Failure>,
    out: String,
    err: String,
}

async fn sub(gateway: &Gateway, token: Option<&str>, topics: &[&str], count: Option<u64>) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut follower = Follower {
        target: gateway.target(token),
        view: View::new(&mut out, &mut err, Style::default()),
        wanted: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        start: None,
        positions: Positions::default(),
        left: count,
        failures: 0,
    };
    let result = follower.follow().await;
    drop(follower);
    Ended { result, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn message(seq: u64) -> String {
    format!(r#"{{"type":"message","topic":"t","seqNo":{seq},"prevSeqNo":{},"data":{seq}}}"#, seq - 1)
}

#[tokio::test]
async fn messages_are_printed_until_the_count_is_full() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, setup) = gateway.welcome().await;
        peer.say(&message(1)).await;
        peer.say(&message(2)).await;
        peer.gone().await;
        setup
    };
    let (ended, setup) = join!(sub(&gateway, Some("secret"), &["t"], Some(2)), serve);
    assert_eq!(ended.result, Ok(()));
    assert_eq!(ended.out, "t 1 1\nt 2 2\n");
    assert_eq!((&setup["token"], &setup["topics"][0]), (&"secret".into(), &"t".into()));
}

#[tokio::test]
async fn a_lost_connection_is_opened_again_and_the_hole_is_told() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        peer.say(&message(1)).await;
        drop(peer);
        let (mut peer, _) = gateway.welcome().await;
        peer.say(&message(4)).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(sub(&gateway, None, &["t"], Some(2)), serve);
    assert_eq!(ended.out, "t 1 1\nt 4 4\n");
    assert!(ended.err.contains("connecting again in"), "{}", ended.err);
    assert!(ended.err.contains("messages 2 to 3 did not come"), "{}", ended.err);
}

const READY: &str = r#"{"type":"ready","id":0,"sessionId":"s1","heartbeatSeconds":25,"resumed":false}"#;
const SUBSCRIBED: &str = r#"{"type":"subscribed","topic":"t","seqNo":0,"recoverable":true}"#;

#[tokio::test]
async fn a_topic_with_a_history_goes_on_where_it_was() {
    let gateway = Gateway::start().await;
    let serve = async {
        let mut peer = gateway.accept().await;
        peer.hear().await;
        for frame in [READY, SUBSCRIBED, &message(1)] {
            peer.say(frame).await;
        }
        drop(peer);
        let mut peer = gateway.accept().await;
        let resume = peer.hear().await;
        peer.say(r#"{"type":"ready","id":0,"sessionId":"s2","resumed":true}"#).await;
        let rest = peer.hear().await;
        for seq in 1..=3 {
            peer.say(&message(seq)).await;
        }
        peer.gone().await;
        (resume, rest)
    };
    let (ended, (resume, rest)) = join!(sub(&gateway, Some("secret"), &["t", "p.*"], Some(3)), serve);
    assert_eq!(ended.out, "t 1 1\nt 2 2\nt 3 3\n");
    assert_eq!(
        resume,
        json!({"type": "resume", "id": 0, "sessionId": "s1", "lastSeqPerTopic": {"t": 1}, "token": "secret"})
    );
    assert_eq!(
        rest,
        json!({"type": "subscribe", "topic": "p.*"}),
        "what has no position is subscribed to anew"
    );
}

#[tokio::test]
async fn what_was_printed_is_acknowledged_up_to_the_last_number() {
    let gateway = Gateway::start().await;
    let serve = async {
        let mut peer = gateway.accept().await;
        peer.hear().await;
        for frame in [READY, SUBSCRIBED, &message(1), &message(2)] {
            peer.say(frame).await;
        }
        let ack = peer.hear().await;
        peer.say(&message(3)).await;
        peer.gone().await;
        ack
    };
    let (ended, ack) = join!(sub(&gateway, None, &["t"], Some(3)), serve);
    assert_eq!(ended.out, "t 1 1\nt 2 2\nt 3 3\n");
    assert_eq!(ack, json!({"type": "ack", "topic": "t", "seqNo": 2}));
}

#[tokio::test]
async fn a_session_that_has_expired_is_replaced_by_the_positions() {
    let gateway = Gateway::start().await;
    let serve = async {
        let mut peer = gateway.accept().await;
        peer.hear().await;
        for frame in [READY, SUBSCRIBED, &message(1)] {
            peer.say(frame).await;
        }
        drop(peer);
        let mut peer = gateway.accept().await;
        peer.hear().await;
        peer.say(r#"{"type":"error","id":0,"code":"SESSION_EXPIRED","message":"no","retryable":false}"#)
            .await;
        let again = peer.hear().await;
        peer.say(&message(2)).await;
        peer.gone().await;
        again
    };
    let (ended, again) = join!(sub(&gateway, None, &["t"], Some(2)), serve);
    assert_eq!(ended.out, "t 1 1\nt 2 2\n");
    assert_eq!(again, json!({"type": "subscribe", "topic": "t", "fromSeq": 2}));
}

#[tokio::test]
async fn a_draining_gateway_is_left_at_the_moment_it_asks_for() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        peer.say(r#"{"type":"draining","reconnectAfterMs":300}"#).await;
        let told = Instant::now();
        peer.close(1012, "drain").await;
        let (mut peer, _) = gateway.welcome().await;
        peer.say(&message(1)).await;
        peer.gone().await;
        told.elapsed()
    };
    let (ended, waited) = join!(sub(&gateway, None, &["t"], Some(1)), serve);
    assert_eq!(ended.result, Ok(()));
    assert!(waited >= Duration::from_millis(290), "came back after {waited:?}");
    assert!(ended.err.contains("going away"), "{}", ended.err);
}

#[tokio::test]
async fn a_draining_gateway_is_left_even_if_it_does_not_close() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut old, _) = gateway.welcome().await;
        old.say(r#"{"type":"draining","reconnectAfterMs":50}"#).await;
        let (mut peer, _) = gateway.welcome().await;
        peer.say(&message(1)).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(sub(&gateway, None, &["t"], Some(1)), serve);
    assert_eq!(ended.out, "t 1 1\n");
}

#[tokio::test]
async fn a_refused_token_ends_it_with_the_gateways_words() {
    let gateway = Gateway::start().await;
    let serve = async {
        let mut peer = gateway.accept().await;
        peer.hear().await;
        peer.say(r#"{"type":"error","id":0,"code":"AUTH_FAILED","message":"the token ended"}"#).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(sub(&gateway, Some("x"), &["t"], None), serve);
    let failure = ended.result.unwrap_err();
    assert_eq!(failure.code, 77);
    assert!(failure.message.contains("the token ended"), "{failure}");
}

#[tokio::test]
async fn it_ends_when_the_last_topic_is_refused_and_not_before() {
    let gateway = Gateway::start().await;
    let refuse = |topic| {
        format!(
            r#"{{"type":"error","code":"ACL_DENIED","message":"no","topic":"{topic}","retryable":false}}"#
        )
    };
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        peer.say(&refuse("a")).await;
        peer.say(&message(1)).await;
        peer.say(&refuse("t")).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(sub(&gateway, None, &["a", "t"], None), serve);
    assert_eq!(ended.out, "t 1 1\n");
    assert_eq!(ended.result.unwrap_err().code, 77);
}

#[tokio::test]
async fn a_topic_that_cannot_be_had_now_is_asked_for_again() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        peer.say(
            r#"{"type":"error","code":"BACKBONE_UNAVAILABLE","message":"later","topic":"t","retryable":true}"#,
        )
        .await;
        let again = peer.hear().await;
        peer.say(&message(1)).await;
        peer.gone().await;
        again
    };
    let (ended, again) = join!(sub(&gateway, None, &["t"], Some(1)), serve);
    assert_eq!(ended.result, Ok(()));
    assert_eq!((&again["type"], &again["topic"]), (&"subscribe".into(), &"t".into()));
}

#[tokio::test]
async fn a_close_that_forbids_ends_it() {
    let gateway = Gateway::start().await;
    let serve = async { gateway.welcome().await.0.close(4401, "token expired").await };
    let (ended, ()) = join!(sub(&gateway, None, &["t"], None), serve);
    let failure = ended.result.unwrap_err();
    assert!(failure.code == 77 && failure.message.contains("token expired"), "{failure}");
}

#[test]
fn a_topic_that_is_none_is_bad_usage_before_anything_is_connected() {
    let connection =
        Connection { url: "ws://127.0.0.1:1".into(), token: None, token_file: None, ca_file: None };
    let failure = run(Args {
        topics: vec!["a..b".into()],
        count: None,
        last: None,
        from_seq: None,
        json: false,
        connection,
    })
    .unwrap_err();
    assert!(failure.code == 64 && failure.message.contains("a..b"), "{failure}");
}
