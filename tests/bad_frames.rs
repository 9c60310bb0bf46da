//! Every violation of RFC 6455 ends with the documented close code, and nobody else notices.

use serde_json::json;

use crate::support::{Gateway, RawSocket, Resource, frame};

/// What is written, under the name of its fault, and the close code it must get.
fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = |payload: &[u8]| frame(0x81, payload);
    let mut unmasked = text(b"{}");
    unmasked[1] &= 0x7f;
    let mut huge = text(b"x");
    huge.splice(1..2, [0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let mut negative = huge.clone();
    negative[2] = 0x80;
    let close = |code: u16, reason: &[u8]| frame(0x88, &[&code.to_be_bytes(), reason].concat());
    let half = [frame(0x01, b"{"), text(b"{}")].concat();
    let binary_half = [frame(0x02, b"a"), frame(0x80, b"b")].concat();
    let split = [frame(0x01, &[0xe2, 0x82]), frame(0x80, &[0x41])].concat();
    vec![
        ("unmasked frame (5.1)", unmasked, 1002),
        ("RSV1 without an extension (5.2)", frame(0xc1, b"{}"), 1002),
        ("RSV2 (5.2)", frame(0xa1, b"{}"), 1002),
        ("RSV3 (5.2)", frame(0x91, b"{}"), 1002),
        ("reserved data opcode 3 (5.2)", frame(0x83, b""), 1002),
        ("reserved data opcode 7 (5.2)", frame(0x87, b""), 1002),
        ("reserved control opcode B (5.2)", frame(0x8b, b""), 1002),
        ("reserved control opcode F (5.2)", frame(0x8f, b""), 1002),
        ("fragmented ping (5.5)", frame(0x09, b""), 1002),
        ("fragmented close (5.5)", frame(0x08, b""), 1002),
        ("ping over 125 bytes (5.5)", frame(0x89, &[b'x'; 126]), 1002),
        ("pong over 125 bytes (5.5)", frame(0x8a, &[b'x'; 200]), 1002),
        ("continuation of nothing (5.4)", frame(0x80, b"x"), 1002),
        ("new message within a fragmented one (5.4)", half, 1002),
        ("close of one byte (5.5.1)", frame(0x88, b"x"), 1002),
        ("close code 0 (7.4.2)", close(0, b""), 1002),
        ("close code 999 (7.4.2)", close(999, b""), 1002),
        ("close code 1004 (7.4.1)", close(1004, b""), 1002),
        ("close code 1005 (7.4.1)", close(1005, b""), 1002),
        ("close code 1006 (7.4.1)", close(1006, b""), 1002),
        ("close code 1015 (7.4.1)", close(1015, b""), 1002),
        ("close code 2000 (7.4.2)", close(2000, b""), 1002),
        ("close reason that is not UTF-8 (5.5.1)", close(1000, &[0xff]), 1007),
        ("length with its top bit (5.2)", negative, 1002),
        ("text that is not UTF-8 (8.1)", text(&[b'"', 0xff, b'"']), 1007),
        ("overlong UTF-8 (8.1)", text(&[0xc0, 0xaf]), 1007),
        ("surrogate in UTF-8 (8.1)", text(&[0xed, 0xa0, 0x80]), 1007),
        ("text that ends within a character (8.1)", text(&[0xe2, 0x82]), 1007),
        ("character broken by a fragment (8.1)", split, 1007),
        ("binary frame", frame(0x82, b"{}"), 1003),
        ("binary in fragments", binary_half, 1003),
        ("frame over the limit, only announced", huge, 1009),
        ("frame over the limit", text(&vec![b' '; 70_000]), 1009),
    ]
}

#[tokio::test]
async fn each_violation_gets_its_close_code_and_disturbs_nobody() {
    let gateway = Gateway::start(&Resource::open());
    let mut neighbour = gateway.subscriber(&["calm"]).await;
    let mut publisher = gateway.client().await;
    for (n, (fault, bytes, code)) in violations().into_iter().enumerate() {
        let address = gateway.address;
        let end = tokio::task::spawn_blocking(move || {
            let mut socket = RawSocket::open(address);
            socket.write(&bytes);
            socket.end()
        });
        let end = end.await.unwrap();
        assert_eq!(end.code(), Some(code), "{fault}: {end:?}");
        publisher.publish("calm", &n.to_string(), json!(n)).await;
        assert_eq!(neighbour.expect_data("calm").await, n, "after {fault}");
    }
    gateway.wait_for_metric("topicgateway_closed_total", &[("code", "1003")], 2.0);
    gateway.wait_for_metric("topicgateway_connections", &[], 2.0);
}

#[test]
fn a_message_in_fragments_over_the_limit_is_closed_with_1009() {
    let gateway = Gateway::start(&Resource::open().set("limits.messageBytes", json!(1024)));
    let mut socket = RawSocket::open(gateway.address);
    socket.write(&frame(0x01, &[b' '; 600]));
    socket.write(&frame(0x00, &[b' '; 600]));
    assert_eq!(socket.end().code(), Some(1009));
}

#[test]
fn a_message_of_many_tiny_fragments_is_put_together() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open(gateway.address);
    let text = r#"{"type":"ping","id":"é€𝄞"}"#.as_bytes();
    socket.write(&frame(0x01, &[]));
    for byte in text {
        socket.write(&frame(0x00, &[*byte]));
    }
    socket.write(&frame(0x80, &[]));
    assert_eq!(socket.json(), json!({"type": "pong", "id": "é€𝄞"}));
}

#[test]
fn frames_are_read_whatever_pieces_they_come_in() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open(gateway.address);
    socket.socket.set_nodelay(true).unwrap();
    for byte in frame(0x81, br#"{"type":"ping","id":1}"#) {
        socket.write(&[byte]);
    }
    let several: Vec<u8> =
        (2..20).flat_map(|n| frame(0x81, format!(r#"{{"type":"ping","id":{n}}}"#).as_bytes())).collect();
    socket.write(&several);
    for n in 1..20 {
        assert_eq!(socket.json(), json!({"type": "pong", "id": n}));
    }
}

#[test]
fn frames_sent_together_with_the_upgrade_request_are_served() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open_with(gateway.address, &frame(0x81, br#"{"type":"ping","id":1}"#));
    assert_eq!(socket.json(), json!({"type": "pong", "id": 1}));
}

#[test]
fn a_connection_cut_in_the_middle_of_a_frame_leaves_nothing_behind() {
    let gateway = Gateway::start(&Resource::open());
    let mut socket = RawSocket::open(gateway.address);
    socket.text(r#"{"type":"subscribe","topic":"a"}"#);
    assert_eq!(socket.json()["type"], "subscribed");
    socket.write(&frame(0x81, b"half")[..4]);
    drop(socket);
    gateway.wait_for_metric("topicgateway_connections", &[], 0.0);
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 0.0);
}
