use serde_json::{Value, json};
use tokio::join;

use super::*;
use crate::cli::client::fake::{Gateway, Peer};

/// What `pub` ended with, and what it printed.
struct Ended {
    result: Result<(), Failure>,
    out: String,
    err: String,
}

/// Publishes the payload, or the lines.
async fn publish(gateway: &Gateway, retries: u32, id: Option<&str>, input: Result<&str, &str>) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let sender = Sender {
        target: gateway.target(None),
        topic: "t".parse().unwrap(),
        retries,
        json: false,
        out: &mut out,
        err: &mut err,
        sent: 0,
    };
    let result = match input {
        Ok(payload) => sender.one(id.map(Into::into), &payload::json(payload).unwrap()).await,
        Err(lines) => sender.lines(lines.as_bytes()).await,
    };
    Ended { result, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

async fn acknowledge(peer: &mut Peer, command: &Value, status: &str, seq: u64) {
    let ack = json!({"type": "ack", "id": command["id"], "messageId": command["messageId"],
        "status": status, "seqNo": seq});
    peer.say(&ack.to_string()).await;
}

async fn refuse(peer: &mut Peer, command: &Value, code: &str, retryable: bool) {
    let error = json!({"type": "error", "id": command["id"], "code": code, "message": "the reason",
        "retryable": retryable});
    peer.say(&error.to_string()).await;
}

#[tokio::test]
async fn a_message_is_published_and_its_ack_printed() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        let command = peer.hear().await;
        acknowledge(&mut peer, &command, "ok", 42).await;
        peer.gone().await;
        command
    };
    let (ended, command) = join!(publish(&gateway, 0, Some("m1"), Ok(r#"{"bid":1}"#)), serve);
    assert_eq!((ended.result, ended.out.as_str()), (Ok(()), "ok 42\n"));
    let expected =
        json!({"type": "publish", "id": 1, "topic": "t", "messageId": "m1", "payload": {"bid": 1}});
    assert_eq!(command, expected);
}

#[tokio::test]
async fn a_duplicate_is_a_success_and_said() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        let command = peer.hear().await;
        acknowledge(&mut peer, &command, "duplicate", 7).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(publish(&gateway, 0, None, Ok("1")), serve);
    assert_eq!((ended.result, ended.out.as_str()), (Ok(()), "duplicate 7\n"));
}

#[tokio::test]
async fn a_message_is_tried_again_under_the_same_id_after_an_error_and_after_a_lost_connection() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        let first = peer.hear().await;
        refuse(&mut peer, &first, "BACKBONE_UNAVAILABLE", true).await;
        let second = peer.hear().await;
        drop(peer);
        let (mut peer, _) = gateway.welcome().await;
        let third = peer.hear().await;
        acknowledge(&mut peer, &third, "ok", 1).await;
        peer.gone().await;
        [first, second, third].map(|command| command["messageId"].clone())
    };
    let (ended, ids) = join!(publish(&gateway, 2, None, Ok("1")), serve);
    assert_eq!((ended.result, ended.out.as_str()), (Ok(()), "ok 1\n"));
    assert!(ids[0].is_string() && ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    assert_eq!(ended.err.matches("trying again").count(), 2, "{}", ended.err);
}

#[tokio::test]
async fn attempts_are_bounded_and_the_failure_says_why() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        for _ in 0..2 {
            let command = peer.hear().await;
            refuse(&mut peer, &command, "BACKBONE_UNAVAILABLE", true).await;
        }
        peer.gone().await;
    };
    let (ended, ()) = join!(publish(&gateway, 1, Some("m9"), Ok("1")), serve);
    let failure = ended.result.unwrap_err();
    assert_eq!(failure.code, 69);
    assert!(failure.message.contains("m9") && failure.message.contains("the reason"), "{failure}");
}

#[tokio::test]
async fn a_refusal_for_good_is_not_tried_again() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        let command = peer.hear().await;
        refuse(&mut peer, &command, "ACL_DENIED", false).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(publish(&gateway, 3, None, Ok("1")), serve);
    let failure = ended.result.unwrap_err();
    assert!(failure.code == 77 && failure.message.contains("the reason (ACL_DENIED)"), "{failure}");
}

#[tokio::test]
async fn nothing_is_published_before_the_token_is_accepted() {
    let gateway = Gateway::start().await;
    let serve = async {
        let mut peer = gateway.accept().await;
        // A gateway that admits anonymous clients greets at once; that is not the answer to the token.
        peer.say(r#"{"type":"ready","userId":"anonymous","heartbeatSeconds":25}"#).await;
        let setup = peer.hear().await;
        refuse(&mut peer, &setup, "AUTH_FAILED", false).await;
        peer.gone().await;
    };
    let (ended, ()) = join!(publish(&gateway, 3, None, Ok("1")), serve);
    assert!(ended.result.unwrap_err().message.contains("AUTH_FAILED"));
}

#[tokio::test]
async fn each_line_is_a_message_in_order_and_blank_lines_are_none() {
    let gateway = Gateway::start().await;
    let serve = async {
        let (mut peer, _) = gateway.welcome().await;
        let mut heard = Vec::new();
        for seq in 1..=3 {
            let command = peer.hear().await;
            acknowledge(&mut peer, &command, "ok", seq).await;
            heard.push(command["payload"].clone());
        }
        peer.gone().await;
        heard
    };
    let (ended, heard) = join!(publish(&gateway, 0, None, Err("1\n\nhello\n{\"a\":2}\n")), serve);
    assert_eq!((ended.result, ended.out.as_str()), (Ok(()), "ok 1\nok 2\nok 3\n"));
    assert_eq!(heard, [json!(1), json!("hello"), json!({"a": 2})]);
}

#[test]
fn one_id_for_many_lines_is_bad_usage() {
    let connection =
        Connection { url: "ws://127.0.0.1:1".into(), token: None, token_file: None, ca_file: None };
    let args = Args {
        topic: "t".into(),
        payload: Some("-".into()),
        message_id: Some("m".into()),
        retries: 3,
        json: false,
        connection,
    };
    assert_eq!(run(args).unwrap_err().code, 64);
}
