//! A client of the protocol on tungstenite, which shares no code with the gateway.

use std::sync::Arc;

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async, connect_async_tls_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
    },
};

use super::DEADLINE;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connected client.
pub(crate) struct Client {
    socket: Socket,
    probes: u32,
}

/// An HTTP answer in place of the upgrade.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The status code.
    pub(crate) status: u16,
    /// The `Retry-After` header.
    pub(crate) retry_after: Option<String>,
}

impl Client {
    /// Connects to a WebSocket URL.
    #[track_caller]
    pub(crate) fn connect(url: &str) -> impl Future<Output = Self> {
        Self::connect_with(url, &[])
    }

    /// Connects with more headers.
    pub(crate) async fn connect_with(url: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_connect(url, headers).await.unwrap_or_else(|refused| panic!("{url}: {refused:?}"))
    }

    /// Connects to a `wss://` URL with this TLS.
    pub(crate) async fn connect_with_tls(url: &str, tls: Arc<ClientConfig>) -> Result<Self, Error> {
        let connector = Some(Connector::Rustls(tls));
        let connecting = connect_async_tls_with_config(url, None, false, connector);
        let (socket, _) = timeout(DEADLINE, connecting).await.expect("an answer to the upgrade")?;
        Ok(Self { socket, probes: 0 })
    }

    /// Connects, or gives the HTTP answer that came in place of the upgrade.
    pub(crate) async fn try_connect(url: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        match timeout(DEADLINE, connect_async(request)).await.expect("an answer to the upgrade") {
            Ok((socket, _)) => Ok(Self { socket, probes: 0 }),
            Err(Error::Http(answer)) => {
                let header = answer.headers().get("retry-after");
                let retry_after = header.map(|value| value.to_str().unwrap().into());
                Err(Refused { status: answer.status().as_u16(), retry_after })
            }
            Err(error) => panic!("{url}: {error}"),
        }
    }

    /// Sends one JSON frame.
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// Sends one text frame.
    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends any WebSocket message.
    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.expect("the connection takes a message");
    }

    /// The next WebSocket message, control messages included; an error counts as the end.
    pub(crate) async fn next_message(&mut self) -> Option<Message> {
        let next =
            timeout(DEADLINE, self.socket.next()).await.expect("a message or the end of the connection");
        next.and_then(Result::ok)
    }

    /// The text of the next text frame.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.next_message().await {
                Some(Message::Text(text)) => return text.as_str().into(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("a text frame was to come, not {other:?}"),
            }
        }
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next frame, which must be of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame, which must be an error with this code.
    pub(crate) async fn expect_error(&mut self, code: &str) -> Value {
        let frame = self.expect("error").await;
        assert_eq!(frame["code"], code, "{frame}");
        assert!(frame["message"].as_str().is_some_and(|text| !text.is_empty()), "{frame}");
        assert!(frame["retryable"].is_boolean(), "{frame}");
        frame
    }

    /// The next frame, which must be a message of this topic; gives its data.
    pub(crate) async fn expect_data(&mut self, topic: &str) -> Value {
        let frame = self.expect("message").await;
        assert_eq!(frame["topic"], topic, "{frame}");
        frame["data"].clone()
    }

    /// Sends a command and takes the next frame for its answer.
    pub(crate) async fn ask(&mut self, command: Value) -> Value {
        self.send(command).await;
        self.frame().await
    }

    /// Subscribes and waits until it is in force.
    pub(crate) async fn subscribe(&mut self, topic: &str) -> Value {
        self.send(json!({"type": "subscribe", "topic": topic})).await;
        let answer = self.expect("subscribed").await;
        assert_eq!(answer["topic"], topic, "{answer}");
        answer
    }

    /// Publishes and waits for the confirmation.
    pub(crate) async fn publish(&mut self, topic: &str, message_id: &str, payload: Value) -> Value {
        self.send(json!({"type": "publish", "topic": topic, "messageId": message_id, "payload": payload}))
            .await;
        let ack = self.expect("ack").await;
        assert_eq!(ack["messageId"], message_id, "{ack}");
        ack
    }

    /// Publishes to a topic it holds; acknowledgement and message may come in either order.
    pub(crate) async fn publish_to_itself(&mut self, topic: &str, message_id: &str, payload: Value) {
        self.send(json!({"type": "publish", "topic": topic, "messageId": message_id, "payload": payload}))
            .await;
        let mut frames = [self.frame().await, self.frame().await];
        frames.sort_by_key(|frame| frame["type"].as_str().map(str::to_owned));
        let kinds = [&frames[0]["type"], &frames[1]["type"], &frames[1]["topic"], &frames[1]["data"]];
        assert_eq!(kinds, [&json!("ack"), &json!("message"), &json!(topic), &payload], "{frames:?}");
    }

    /// Shows that nothing waits to be read: the answer to a ping is the very next frame.
    pub(crate) async fn expect_nothing(&mut self) {
        self.probes += 1;
        let id = format!("probe-{}", self.probes);
        self.send(json!({"type": "ping", "id": id})).await;
        let frame = self.frame().await;
        assert_eq!(
            frame,
            json!({"type": "pong", "id": id}),
            "nothing but the answer to the ping was to come"
        );
    }

    /// The type of the next frame; `None` once the connection is closed.
    pub(crate) async fn next_kind(&mut self) -> Option<String> {
        loop {
            match self.next_message().await? {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(text.as_str()).expect("a JSON frame");
                    return Some(frame["type"].as_str().expect("a type").into());
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Reads up to the close frame, past anything else; gives code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next_message().await {
                Some(Message::Close(Some(frame))) => {
                    let reason = frame.reason.as_str().to_owned();
                    // Reading on is what answers the close; the end of the stream is what the other side makes of it.
                    while self.next_message().await.is_some() {}
                    return (frame.code.into(), reason);
                }
                Some(Message::Close(None)) | None => panic!("the connection ended without a close code"),
                Some(_) => {}
            }
        }
    }

    /// Sending and receiving apart, for a client that does both at once.
    pub(crate) fn split(self) -> (Sending, Receiving) {
        let (sink, stream) = self.socket.split();
        (Sending(sink), Receiving(stream))
    }

    /// Closes in good order and waits for the answer.
    pub(crate) async fn close(mut self) {
        self.socket.close(None).await.expect("a close can be sent");
        while self.next_message().await.is_some() {}
    }
}

/// The sending half of a client.
pub(crate) struct Sending(SplitSink<Socket, Message>);

impl Sending {
    /// Sends one JSON frame; `false` once the connection is gone.
    pub(crate) async fn try_send(&mut self, frame: &Value) -> bool {
        self.0.send(Message::text(frame.to_string())).await.is_ok()
    }
}

/// The receiving half of a client.
pub(crate) struct Receiving(SplitStream<Socket>);

impl Receiving {
    /// Reads up to the close frame, past anything else; gives code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match timeout(DEADLINE, self.0.next()).await.expect("a close frame in time") {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.as_str().into());
                }
                Some(Ok(_)) => {}
                other => panic!("the connection ended without a close code: {other:?}"),
            }
        }
    }
}

/// The bytes of the `data` field as they stand in the frame's text.
pub(crate) fn data_of(frame: &str) -> &str {
    #[derive(serde::Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        data: &'a serde_json::value::RawValue,
    }
    serde_json::from_str::<Frame<'_>>(frame).unwrap_or_else(|error| panic!("{error}: {frame}")).data.get()
}
