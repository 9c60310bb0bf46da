//! A subscriber that reads too slowly falls out of its topic's window: each policy, seen from both sides.

use serde_json::{Value, json};

use crate::support::{Client, Gateway, RawSocket, Resource};

/// Messages published: 3 MB, far more than window and kernel buffers hold.
const MESSAGES: u64 = 800;

fn gateway(policy: &str) -> Gateway {
    let resource = Resource::open()
        .set("limits.publishPerSecond", json!(0))
        .set("limits.messageBytes", json!(16_384))
        .set("limits.windowBytes", json!(131_072))
        .set("topics", json!([{"pattern": "slow.*", "slowConsumer": policy}]));
    Gateway::start(&resource)
}

/// A subscriber of `slow.a` that reads nothing, with a small receive buffer.
fn stalled(gateway: &Gateway) -> RawSocket {
    let mut socket = RawSocket::open_small(gateway.address);
    socket.text(r#"{"type":"subscribe","topic":"slow.a"}"#);
    assert_eq!(socket.json()["type"], "subscribed");
    socket
}

/// Publishes everything while a reader beside the stalled one gets all of it without a gap.
async fn publish_all(gateway: &Gateway) {
    let mut reader = gateway.subscriber(&["slow.a"]).await;
    let mut publisher = gateway.client().await;
    let filler = "x".repeat(4_000);
    for n in 1..=MESSAGES {
        publisher.publish("slow.a", &n.to_string(), json!(filler)).await;
        expect_number(&mut reader, n).await;
    }
}

async fn expect_number(reader: &mut Client, n: u64) {
    let message = reader.expect("message").await;
    assert_eq!((&message["seqNo"], &message["prevSeqNo"]), (&json!(n), &json!(n - 1)));
}

/// Reads to the last message and checks that whatever is missing was told before the next message.
fn read_to_the_last(socket: &mut RawSocket) -> Vec<(u64, u64)> {
    let (mut last, mut gaps) = (0, Vec::new());
    let number = |frame: &Value, field: &str| frame[field].as_u64().unwrap_or_else(|| panic!("{frame}"));
    while last < MESSAGES {
        let frame = socket.json();
        assert_eq!(frame["topic"], "slow.a", "{frame}");
        if frame["type"] == "gap" {
            assert_eq!(frame["reason"], "dropped", "{frame}");
            let (from, to) = (number(&frame, "fromSeq"), number(&frame, "toSeq"));
            assert_eq!(from, last + 1, "{frame}");
            assert!(to >= from, "{frame}");
            gaps.push((from, to));
            last = to;
        } else {
            assert_eq!(
                (number(&frame, "prevSeqNo"), number(&frame, "seqNo")),
                (last, last + 1),
                "told, or there"
            );
            last += 1;
        }
    }
    gaps
}

#[tokio::test]
async fn disconnect_closes_with_4409_and_the_others_miss_nothing() {
    let gateway = gateway("Disconnect");
    let mut socket = stalled(&gateway);
    publish_all(&gateway).await;
    gateway.wait_for_metric("topicgateway_slow_consumer_total", &[("policy", "Disconnect")], 1.0);
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "4409")], 1.0);
    let mut last = 0;
    // What the kernel held comes first, up to a frame boundary.
    while let Some((head, payload)) = socket.read() {
        if head == 0x88 {
            assert_eq!(payload[..2], 4409_u16.to_be_bytes());
            return;
        }
        let frame: Value = serde_json::from_slice(&payload).expect("a whole frame");
        assert_eq!(frame["seqNo"], last + 1);
        last += 1;
    }
    // A socket whose buffers are full cannot take the close frame; then the end of the stream is all there is.
    assert!(last < MESSAGES, "it was to be cut off");
}

#[tokio::test]
async fn drop_oldest_goes_on_with_the_oldest_kept_and_tells_the_gap() {
    let gateway = gateway("DropOldest");
    let mut socket = stalled(&gateway);
    publish_all(&gateway).await;
    let gaps = read_to_the_last(&mut socket);
    assert!(!gaps.is_empty());
    let (_, end) = gaps[gaps.len() - 1];
    let kept = MESSAGES - end;
    assert!(
        (2..=33).contains(&kept),
        "the window of 128 KiB holds up to 32 of them, {kept} came after the last gap"
    );
    gateway.wait_for_metric("topicgateway_lagging_subscribers", &[], 0.0);
}

#[tokio::test]
async fn conflate_goes_on_with_the_newest_and_tells_the_gap() {
    let gateway = gateway("Conflate");
    let mut socket = stalled(&gateway);
    publish_all(&gateway).await;
    let gaps = read_to_the_last(&mut socket);
    let (_, end) = gaps[gaps.len() - 1];
    assert!(MESSAGES - end <= 33, "after the jump came only what the window of 128 KiB holds: {gaps:?}");
    assert!(gateway.metrics().sum("topicgateway_slow_consumer_total", &[("policy", "Conflate")]) >= 1.0);
}

#[tokio::test]
async fn a_lagging_subscriber_is_counted_and_the_log_is_bounded() {
    let gateway = gateway("DropOldest");
    let _socket = stalled(&gateway);
    publish_all(&gateway).await;
    let metrics = gateway.metrics();
    assert!((metrics.sum("topicgateway_lagging_subscribers", &[]) - 1.0).abs() < 1e-9, "{metrics}");
    let bytes = metrics.sum("topicgateway_log_bytes", &[]);
    assert!(bytes > 0.0 && bytes <= 131_072.0 + 16_384.0, "{bytes} bytes in the log of a window of 131072");
}
