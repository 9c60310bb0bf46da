//! A gateway of a few lines for tests of the clients: it says what the test tells it to.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, protocol::CloseFrame},
};

use super::{Connection, Target, Token};

/// A gateway that has not been connected to yet.
pub(in crate::cli) struct Gateway(TcpListener);

/// The gateway's side of one connection.
pub(in crate::cli) struct Peer(WebSocketStream<TcpStream>);

impl Gateway {
    pub(in crate::cli) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// The target a client needs, with this token.
    pub(in crate::cli) fn target(&self, token: Option<&str>) -> Target {
        let url = format!("http://{}", self.0.local_addr().unwrap());
        let token = token.map(|token| token.parse::<Token>().unwrap());
        Connection { url, token, token_file: None, ca_file: None }.target().unwrap()
    }

    /// The next connection, upgraded.
    pub(in crate::cli) async fn accept(&self) -> Peer {
        Peer(accept_async(self.0.accept().await.unwrap().0).await.unwrap())
    }

    /// The next connection, which is `ready`, and its `setup`.
    pub(in crate::cli) async fn welcome(&self) -> (Peer, Value) {
        let mut peer = self.accept().await;
        let setup = peer.hear().await;
        assert_eq!(setup["type"], "setup");
        peer.say(&format!(r#"{{"type":"ready","id":{},"heartbeatSeconds":25}}"#, setup["id"])).await;
        (peer, setup)
    }
}

impl Peer {
    pub(in crate::cli) async fn say(&mut self, frame: &str) {
        self.0.send(Message::text(frame)).await.unwrap();
    }

    /// The client's next command.
    pub(in crate::cli) async fn hear(&mut self) -> Value {
        serde_json::from_str(self.0.next().await.unwrap().unwrap().to_text().unwrap()).unwrap()
    }

    /// Closes with this code and waits for the client to have gone.
    pub(in crate::cli) async fn close(mut self, code: u16, reason: &'static str) {
        self.0.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await.unwrap();
        self.gone().await;
    }

    /// Waits for the client to go.
    pub(in crate::cli) async fn gone(mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}
