//! TLS on the public port: what clients see of it is what they see without, and certificates change while they look on.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use crate::support::{Authority, Client, Configured, Gateway, RawSocket, Resource, command, frame};

const FAILURES: &str = "topicgateway_tls_handshake_failures_total";
const NOT_AFTER: &str = "topicgateway_tls_certificate_not_after_timestamp_seconds";

async fn connect(gateway: &Gateway, authority: &Authority) -> Client {
    let url = format!("wss://{}/ws", gateway.address);
    Client::connect_with_tls(&url, authority.client()).await.expect("the certificate is trusted")
}

#[tokio::test]
async fn a_client_subscribes_publishes_and_receives_messages_of_any_size() {
    let authority = Authority::new();
    let resource = Resource::open().set("limits.messageBytes", json!(1_048_576));
    let gateway = Gateway::start(&authority.on(resource));
    let (mut reader, mut publisher) =
        (connect(&gateway, &authority).await, connect(&gateway, &authority).await);
    reader.subscribe("a").await;
    for (n, size) in [0, 1, 16_383, 16_384, 16_385, 1_000_000].into_iter().enumerate() {
        let data = json!("x".repeat(size));
        publisher.publish("a", &n.to_string(), data.clone()).await;
        assert!(reader.expect_data("a").await == data, "{size}");
    }
    publisher.close().await;
    reader.close().await;
    gateway.wait_for_metric("topicgateway_connections", &[], 0.0);
}

#[tokio::test]
async fn what_a_client_sends_right_behind_its_upgrade_is_not_lost() {
    let authority = Authority::new();
    let gateway = Gateway::start(&authority.on(Resource::open()));
    // In one write, and so in one record: more of it than the HTTP side reads at a time, so that the shard finds a part
    // in the session and none in the socket.
    let payload = "x".repeat(12_000);
    let publish = json!({"type": "publish", "topic": "a", "messageId": "m", "payload": payload});
    let ping = frame(0x81, br#"{"type":"ping","id":1}"#);
    let early = [frame(0x81, publish.to_string().as_bytes()), ping].concat();
    let mut socket = RawSocket::upgrade_in(authority.open(gateway.address), gateway.address, &early);
    let mut answers = [socket.json(), socket.json()];
    answers.sort_by_key(|answer| answer["type"].as_str().map(str::to_owned));
    assert_eq!((&answers[0]["type"], &answers[0]["messageId"]), (&json!("ack"), &json!("m")));
    assert_eq!(answers[1], json!({"type": "pong", "id": 1}));
}

#[tokio::test]
async fn a_reader_that_stops_lags_and_has_every_message_once_it_reads_on() {
    const MESSAGES: u64 = 300;
    let authority = Authority::new();
    let resource = Resource::open()
        .set("limits.publishPerSecond", json!(0))
        .set("limits.windowBytes", json!(67_108_864));
    let gateway = Gateway::start(&authority.on(resource));
    let mut slow = RawSocket::upgrade_in(authority.open_small(gateway.address), gateway.address, b"");
    slow.socket.write_all(&frame(0x81, br#"{"type":"subscribe","topic":"a"}"#)).unwrap();
    assert_eq!(slow.json()["type"], "subscribed");
    let mut publisher = connect(&gateway, &authority).await;
    let filler = "x".repeat(20_000);
    for n in 1..=MESSAGES {
        publisher.publish("a", &n.to_string(), json!({"n": n, "filler": filler})).await;
    }
    gateway.wait_for_metric("topicgateway_lagging_subscribers", &[], 1.0);
    for n in 1..=MESSAGES {
        let message = slow.json();
        assert_eq!((&message["type"], &message["data"]["n"]), (&json!("message"), &json!(n)));
    }
    gateway.wait_for_metric("topicgateway_lagging_subscribers", &[], 0.0);
    publisher.publish("a", "last", json!({"n": "last"})).await;
    assert_eq!(slow.json()["data"]["n"], "last");
}

#[test]
fn the_end_of_a_connection_is_told_within_tls_after_its_last_words() {
    let authority = Authority::new();
    let gateway = Gateway::start(&authority.on(Resource::open().set("drain.windowSeconds", json!(0))));
    let open = || RawSocket::upgrade_in(authority.open(gateway.address), gateway.address, b"");
    let mut own = open();
    own.socket.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
    assert_eq!(own.read(), Some((0x88, 1000_u16.to_be_bytes().into())));
    let mut drained = open();
    gateway.process.signal("TERM");
    while drained.read().expect("a close").0 != 0x88 {}
    for mut socket in [own, drained] {
        assert_eq!(socket.socket.read(&mut [0]).unwrap(), 0, "an end in good order");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_whoever_comes_next_and_ends_no_connection() {
    let (old, new) = (Authority::new(), Authority::new());
    let resource = old.on(Resource::open());
    let mut gateway = Configured::start(&resource);
    let mut before = connect(&gateway, &old).await;
    before.subscribe("a").await;
    let days = |gateway: &Gateway| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        (gateway.metrics().sum(NOT_AFTER, &[]) - now) / 86_400.0
    };
    assert!((29.9..30.1).contains(&days(&gateway)), "{}", days(&gateway));

    // One that cannot be used changes nothing, and is told.
    let mut mixed = old.pair(90);
    mixed["tls.key"] = new.pair(90)["tls.key"].take();
    gateway.rotate(&resource.clone().secret("gateway-tls", mixed));
    gateway.wait_for_rejection("do not go together");
    connect(&gateway, &old).await.subscribe("a").await;
    gateway.rotate(&resource.clone().secret("gateway-tls", json!({"tls.crt": "?", "tls.key": "?"})));
    gateway.wait_for_rejection("holds no certificates in PEM");
    assert!((29.9..30.1).contains(&days(&gateway)), "{}", days(&gateway));

    gateway.rotate(&new.on(resource));
    gateway.wait_for_metric("topicgateway_config_rejected", &[], 0.0);
    let end = Instant::now() + Duration::from_secs(20);
    let url = format!("wss://{}/ws", gateway.address);
    let mut after = loop {
        if let Ok(client) = Client::connect_with_tls(&url, new.client()).await {
            break client;
        }
        assert!(Instant::now() < end, "the new certificate is not shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(Client::connect_with_tls(&url, old.client()).await.is_err(), "the old one is no longer shown");
    after.publish("a", "m", json!("still here")).await;
    assert_eq!(before.expect_data("a").await, "still here");
}

#[tokio::test]
async fn tls_is_not_turned_off_in_a_running_pod() {
    let authority = Authority::new();
    let mut gateway = Configured::start(&authority.on(Resource::open()));
    gateway.change(&Resource::open());
    assert!(gateway.process.output().contains("TLS is turned on or off by new pods"));
    connect(&gateway, &authority).await.subscribe("a").await;
}

#[tokio::test]
async fn who_cannot_be_spoken_with_gets_nothing_and_is_counted_by_reason() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let gateway = Gateway::start(&authority.on(Resource::open()));
    let mut plain = TcpStream::connect(gateway.address).unwrap();
    plain.write_all(b"GET /stats HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The end of the connection may come before all was read at the other side.
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.len() < 16 && !answer.starts_with(b"HTTP"), "at most an alert: {answer:?}");
    gateway.wait_for_metric(FAILURES, &[("reason", "not_tls")], 1.0);
    let url = format!("wss://{}/ws", gateway.address);
    assert!(Client::connect_with_tls(&url, stranger.client()).await.is_err());
    gateway.wait_for_metric(FAILURES, &[("reason", "refused")], 1.0);
    drop(TcpStream::connect(gateway.address).unwrap());
    gateway.wait_for_metric(FAILURES, &[("reason", "closed")], 1.0);
    assert!(!openssl(&gateway, &authority, &["-alpn", "h2"]).contains("HTTP/1.1 200"));
    gateway.wait_for_metric(FAILURES, &[("reason", "incompatible")], 1.0);
    connect(&gateway, &authority).await.subscribe("a").await;
    assert_eq!(gateway.admin("/metrics").status, 200, "the admin port speaks no TLS");
}

#[test]
fn openssl_is_served_with_both_versions_and_told_the_end() {
    let authority = Authority::new();
    let gateway = Gateway::start(&authority.on(Resource::open()));
    for version in ["-tls1_2", "-tls1_3"] {
        let heard = openssl(&gateway, &authority, &[version, "-alpn", "h2,http/1.1"]);
        assert!(heard.contains("HTTP/1.1 200 OK") && heard.contains(r#""connections":0"#), "{heard}");
    }
}

/// What `openssl s_client` gets for `GET /stats`.
fn openssl(gateway: &Gateway, authority: &Authority, options: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-CAfile"])
        .arg(authority.file())
        .args(["-connect", &gateway.address.to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may have given up already.
    let _ = stdin.write_all(b"GET /stats HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn streams_of_events_and_publishing_over_http_go_through_tls() {
    let authority = Authority::new();
    let gateway = Gateway::start(&authority.on(Resource::open()));
    let mut stream = authority.open(gateway.address);
    write!(stream, "GET /sse?topics=a HTTP/1.1\r\nHost: gateway\r\n\r\n").unwrap();
    let mut heard = String::new();
    let mut until = |end: &str| {
        let mut piece = [0; 1024];
        while !heard.contains(end) {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "no {end:?} in {heard}");
            heard.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
    };
    until("subscribed");
    let answer = authority.request(gateway.address, "POST /publish/a", r#"{"over":"https"}"#);
    assert_eq!(answer.json()["status"], "ok", "{answer:?}");
    until(r#"{"over":"https"}"#);
}

#[tokio::test]
async fn the_example_is_served_once_its_secret_is_there() {
    let authority = Authority::new();
    let example = include_str!("../examples/tls-cert-manager.yaml");
    let metadata = json!({"name": "secure-tls"});
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": metadata,
        "stringData": authority.pair(30),
    });
    let gateway = Gateway::start_yaml(&format!("{example}---\n{secret}\n"));
    connect(&gateway, &authority).await.subscribe("prices.btc").await;
}

#[test]
fn the_commands_trust_the_authority_of_a_file_and_no_other() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let gateway = Gateway::start(&authority.on(Resource::open()));
    assert!(gateway.process.output().contains(&format!("gateway  https://{}", gateway.address)));
    let url = format!("https://{}", gateway.address);
    let publish = |file: Option<&Authority>| {
        let mut command = command(["pub", "a", "1", "--url", &url]);
        if let Some(authority) = file {
            command.arg("--ca-file").arg(authority.file());
        }
        command.output().unwrap()
    };
    let published = publish(Some(&authority));
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    for refused in [publish(Some(&stranger)), publish(None)] {
        assert_eq!(refused.status.code(), Some(69));
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains("is not trusted") && told.contains("--ca-file"), "{told}");
    }
}
