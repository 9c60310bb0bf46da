//! One client: it connects, follows its topics, comes back whenever it is sent away, and writes down everything.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::{
    following::{Following, Frame},
    laps::Laps,
    participant::{Order, Participant},
    wire::{Socket, WITHOUT_CLOSE, WITHOUT_CODE, upgrade},
};
use crate::checker::ClientLog;

/// How often it asks for topics that it should have, and how often it pings.
const ASKING: Duration = Duration::from_millis(300);
const PINGING: u32 = 15;
/// How long after the moment it was told it waits for a gateway that goes away to close.
const OVERDUE: Duration = Duration::from_secs(3);
/// How long a gateway may take to answer a close.
const LEAVING: Duration = Duration::from_secs(10);

/// A client over WebSocket.
pub(crate) struct Member {
    pub(crate) own: Participant,
    /// Where it notes how long it takes to have everything after a connection.
    pub(crate) laps: Option<Arc<Laps>>,
}

/// A connection, and what is known of its end.
struct Connection {
    socket: Socket,
    own: SocketAddr,
    /// When the gateway wants to be left.
    due: Option<Instant>,
    /// It has said goodbye.
    closing: bool,
    /// When it began to connect, and what there was then, until it has that.
    lap: Option<(Instant, BTreeMap<String, u64>)>,
}

impl Member {
    /// Runs until it is told to leave.
    pub(crate) async fn run(mut self) {
        while !self.own.leaving {
            // A gateway may be killed before its answer is read.
            let began = self.own.clock.now();
            let lap = self.laps.as_ref().map(|laps| laps.begin());
            if let Some((socket, own, gateway)) = upgrade(&self.own.balancer).await {
                self.own.note(|log, _| log.connected(began, &gateway));
                let code = self.live(Connection { socket, own, due: None, closing: false, lap }).await;
                self.own.note(|log, now| log.closed(now, code));
                self.own.tally.count(format!("closed {code}"));
            } else {
                self.own.tally.count("refused");
                self.own.wait_for_orders();
            }
            self.own.pause().await;
        }
    }

    /// One connection; gives its close code.
    async fn live(&mut self, mut connection: Connection) -> u16 {
        let begin = self.own.with(|following| following.connected(&self.own.token));
        let beginning = begin["id"].as_u64();
        if !self.send(&mut connection, &[begin]).await {
            return WITHOUT_CLOSE;
        }
        let mut asking = interval(ASKING);
        let mut ticks = 0;
        loop {
            let due = connection.due.unwrap_or_else(|| Instant::now() + LEAVING);
            tokio::select! {
                message = connection.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        if !self.received(&mut connection, text.as_str(), beginning).await {
                            // What was said meanwhile is still there to be read.
                            continue;
                        }
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.map_or(WITHOUT_CODE, |frame| frame.code.into());
                        // Reading on is what answers it.
                        while let Some(Ok(_)) = connection.socket.next().await {}
                        return code;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return WITHOUT_CLOSE,
                },
                order = self.own.orders.recv() => match order {
                    Some(order) => self.obey(&mut connection, order).await,
                    None => self.own.leaving = true,
                },
                _ = asking.tick(), if !connection.closing => {
                    ticks += 1;
                    let time = self.own.clock.elapsed();
                    let mut commands = self.own.with(Following::missing);
                    commands.extend(self.own.with(|following| following.acknowledge(time)));
                    if ticks % PINGING == 0 {
                        commands.push(json!({"type": "ping", "id": self.own.with(Following::id)}));
                    }
                    self.send(&mut connection, &commands).await;
                },
                () = sleep_until(due), if connection.due.is_some() => self.close(&mut connection).await,
            }
            if self.own.leaving && !connection.closing {
                self.close(&mut connection).await;
            }
        }
    }

    /// A text frame; `false` if the connection is of no use.
    async fn received(&mut self, connection: &mut Connection, text: &str, beginning: Option<u64>) -> bool {
        self.own.note(|log, now| log.received(now, text));
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            self.own.tally.count("malformed");
            return true;
        };
        match frame.kind.as_ref() {
            "ready" => self.own.tally.count(if frame.resumed { "resumed" } else { "begun" }),
            "draining" => {
                let wait = Duration::from_millis(frame.reconnect_after_ms.unwrap_or(0));
                // Some go by themselves at the moment they are told, some wait for the close.
                let patience = if self.own.number.is_multiple_of(2) { Duration::ZERO } else { OVERDUE };
                connection.due = Some(Instant::now() + wait + patience);
            }
            "error" => {
                self.own.tally.count(format!("error {}", frame.code));
                if frame.id.is_some() && frame.id == beginning {
                    self.close(connection).await;
                }
            }
            _ => {}
        }
        let (commands, met) = self.own.with(|following| following.take(&frame));
        if let Some(met) = met {
            self.own.tally.count(met);
        }
        if let Some(laps) = &self.laps
            && let Some((began, _)) =
                connection.lap.take_if(|(_, heads)| self.own.with(|following| following.has(heads)))
        {
            laps.note(began.elapsed());
        }
        self.send(connection, &commands).await
    }

    async fn obey(&mut self, connection: &mut Connection, order: Order) {
        match order {
            Order::Cut(hold) => {
                self.own.note(ClientLog::cut);
                self.own.balancer.cut(connection.own, hold);
            }
            Order::Stall(time) => self.own.stall(time).await,
            Order::Judge => self.own.log = None,
            Order::Leave => self.own.leaving = true,
        }
    }

    async fn close(&mut self, connection: &mut Connection) {
        (connection.due, connection.closing) = (None, true);
        // The connection may have ended meanwhile.
        let _ = connection.socket.close(None).await;
    }

    async fn send(&mut self, connection: &mut Connection, commands: &[Value]) -> bool {
        for command in commands {
            if connection.closing {
                return false;
            }
            let text = command.to_string();
            self.own.note(|log, now| log.sent(now, &text));
            if connection.socket.send(Message::text(text)).await.is_err() {
                return false;
            }
        }
        true
    }
}
