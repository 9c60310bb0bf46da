//! What one connection may ask of the gateway.

use serde_json::json;

use crate::support::{Client, Gateway, Resource, data_of};

/// Sends the commands without waiting and counts answers of `kind`; the rest must be `LIMIT_EXCEEDED`, or the
/// connection ends with 4429.
async fn flood(
    client: &mut Client,
    commands: usize,
    command: impl Fn(usize) -> serde_json::Value,
    kind: &str,
) -> usize {
    for n in 0..commands {
        client.send(command(n)).await;
    }
    let mut granted = 0;
    for _ in 0..commands {
        let answer = client.frame().await;
        if answer["type"] == kind {
            granted += 1;
        } else {
            assert_eq!(
                (&answer["type"], &answer["code"]),
                (&json!("error"), &json!("LIMIT_EXCEEDED")),
                "{answer}"
            );
        }
    }
    granted
}

#[tokio::test]
async fn a_connection_holds_at_most_its_number_of_topics() {
    let gateway = Gateway::start(&Resource::open().set("limits.topicsPerConnection", json!(2)));
    let mut client = gateway.subscriber(&["a", "b"]).await;
    client.send(json!({"type": "subscribe", "topic": "c"})).await;
    assert_eq!(client.expect_error("LIMIT_EXCEEDED").await["topic"], "c");
    client.subscribe("a").await;
    client.ask(json!({"type": "unsubscribe", "topic": "b"})).await;
    client.subscribe("c").await;
}

#[tokio::test]
async fn publishing_faster_than_the_limit_is_refused_and_told() {
    let gateway = Gateway::start(&Resource::open().set("limits.publishPerSecond", json!(5)));
    let mut client = gateway.client().await;
    let command = |n| json!({"type": "publish", "topic": "a", "messageId": format!("m{n}"), "payload": n});
    let granted = flood(&mut client, 20, command, "ack").await;
    assert!((5..15).contains(&granted), "{granted} of 20 at 5 per second");
    let mut other = gateway.client().await;
    other.publish("a", "other", json!(1)).await;
}

#[tokio::test]
async fn subscribing_faster_than_the_limit_is_refused_and_told() {
    let gateway = Gateway::start(&Resource::open().set("limits.subscribePerSecond", json!(5)));
    let mut client = gateway.client().await;
    let command = |n| json!({"type": "subscribe", "topic": format!("t{n}")});
    let granted = flood(&mut client, 20, command, "subscribed").await;
    assert!((5..15).contains(&granted), "{granted} of 20 at 5 per second");
}

#[tokio::test]
async fn a_client_that_goes_on_asking_too_much_is_closed_with_4429() {
    let gateway = Gateway::start(&Resource::open().set("limits.publishPerSecond", json!(1)));
    let mut neighbour = gateway.subscriber(&["calm"]).await;
    let client = gateway.client().await;
    let (mut sending, mut receiving) = client.split();
    let flooding = tokio::spawn(async move {
        for n in 0..100_000 {
            let command =
                json!({"type": "publish", "topic": "a", "messageId": format!("m{n}"), "payload": n});
            if !sending.try_send(&command).await {
                return;
            }
        }
    });
    assert_eq!(receiving.closed().await.0, 4429);
    flooding.await.unwrap();
    gateway.client().await.publish("calm", "1", json!(1)).await;
    assert_eq!(neighbour.expect_data("calm").await, 1);
}

#[tokio::test]
async fn the_largest_message_allowed_is_taken_and_delivered() {
    let gateway = Gateway::start(&Resource::open().set("limits.messageBytes", json!(4096)));
    let mut subscriber = gateway.subscriber(&["a"]).await;
    let mut publisher = gateway.client().await;
    let frame = |length: usize| {
        let start = r#"{"type":"publish","topic":"a","messageId":"m","payload":""#;
        format!("{start}{}\"}}", "x".repeat(length - start.len() - 2))
    };
    publisher.send_text(&frame(4096)).await;
    publisher.expect("ack").await;
    assert!(data_of(&subscriber.text().await).len() > 4000);
    publisher.send_text(&frame(4097)).await;
    assert_eq!(publisher.closed().await.0, 1009);
}

#[tokio::test]
async fn when_open_files_run_out_newcomers_get_503_while_health_and_the_feed_go_on() {
    let serve = ["dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", r#"ulimit -n 200 && exec "$0" "$@""#, env!("CARGO_BIN_EXE_topic-gateway")])
        .args(serve);
    let gateway = Gateway::from(&mut command, tempfile::TempDir::new().unwrap());
    let mut first = gateway.subscriber(&["a"]).await;
    let mut others = Vec::new();
    let refused = loop {
        match Client::try_connect(&gateway.url("/ws"), &[]).await {
            Ok(client) => others.push(client),
            Err(refused) => break refused,
        }
        assert!(others.len() < 200, "more connections than files");
    };
    assert_eq!(refused.status, 503);
    assert!(refused.retry_after.is_some());
    assert_eq!(gateway.admin("/livez").status, 200);
    // Nor do those take the last file who connect and say nothing.
    let silent: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(gateway.address).unwrap()).collect();
    assert_eq!(gateway.admin("/livez").status, 200);
    others[0].publish("a", "m", json!(1)).await;
    first.expect("message").await;
    drop(silent);
}

#[test]
fn a_crowd_that_comes_at_once_is_queued() {
    let gateway = Gateway::start(&Resource::open());
    // While it stands still nothing is accepted: all wait in the kernel. A SYN is repeated after a second.
    gateway.process.signal("STOP");
    let patience = std::time::Duration::from_millis(900);
    let crowd: Result<Vec<_>, _> =
        (0..1000).map(|_| std::net::TcpStream::connect_timeout(&gateway.address, patience)).collect();
    gateway.process.signal("CONT");
    assert_eq!(crowd.unwrap().len(), 1000);
}
