//! One client: it connects, follows its topics, comes back whenever it is sent away, and writes down everything.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    balancer::Balancer,
    checker::ClientLog,
    following::{Following, Frame},
    storm::Laps,
    tally::Tally,
    wire::{Clock, Socket, WITHOUT_CLOSE, WITHOUT_CODE, upgrade},
};

/// How often it asks for topics that it should have, and how often it pings.
const ASKING: Duration = Duration::from_millis(300);
const PINGING: u32 = 15;
/// How long after the moment it was told it waits for a gateway that goes away to close.
const OVERDUE: Duration = Duration::from_secs(3);
/// How long a gateway may take to answer a close.
const LEAVING: Duration = Duration::from_secs(10);

/// What a client is told to suffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Its connection is cut; the gateway notices later.
    Cut(Duration),
    /// It does not read for a while.
    Stall(Duration),
    /// The history is over: nothing is written down any more.
    Judge,
    /// It says goodbye.
    Leave,
}

/// Everything that a client is made of.
pub(crate) struct Member {
    pub(crate) number: usize,
    pub(crate) token: String,
    pub(crate) balancer: Balancer,
    pub(crate) clock: Clock,
    pub(crate) log: Option<ClientLog>,
    pub(crate) following: Arc<Mutex<Following>>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) tally: Tally,
    /// Where it notes how long it takes to have everything after a connection.
    pub(crate) laps: Option<Arc<Laps>>,
    /// It says goodbye, or has done so.
    pub(crate) leaving: bool,
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
        while !self.leaving {
            // A gateway may be killed before its answer is read.
            let began = self.clock.now();
            let lap = self.laps.as_ref().map(|laps| laps.begin());
            if let Some((socket, own, gateway)) = upgrade(&self.balancer).await {
                self.note(|log, _| log.connected(began, &gateway));
                let code = self.live(Connection { socket, own, due: None, closing: false, lap }).await;
                self.note(|log, now| log.closed(now, code));
                self.tally.count(format!("closed {code}"));
            } else {
                self.tally.count("refused");
                self.wait_for_orders();
            }
            sleep(Duration::from_millis(rand::random_range(20..300))).await;
        }
    }

    /// One connection; gives its close code.
    async fn live(&mut self, mut connection: Connection) -> u16 {
        let begin = self.with(|following| following.connected(&self.token));
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
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(&mut connection, order).await,
                    None => self.leaving = true,
                },
                _ = asking.tick(), if !connection.closing => {
                    ticks += 1;
                    let mut commands = self.with(Following::missing);
                    if ticks % PINGING == 0 {
                        commands.push(json!({"type": "ping", "id": self.with(Following::id)}));
                    }
                    self.send(&mut connection, &commands).await;
                },
                () = sleep_until(due), if connection.due.is_some() => self.close(&mut connection).await,
            }
            if self.leaving && !connection.closing {
                self.close(&mut connection).await;
            }
        }
    }

    /// A text frame; `false` if the connection is of no use.
    async fn received(&mut self, connection: &mut Connection, text: &str, beginning: Option<u64>) -> bool {
        self.note(|log, now| log.received(now, text));
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
            self.tally.count("malformed");
            return true;
        };
        match frame.kind.as_ref() {
            "draining" => {
                let wait = Duration::from_millis(frame.reconnect_after_ms.unwrap_or(0));
                // Some go by themselves at the moment they are told, some wait for the close.
                let patience = if self.number.is_multiple_of(2) { Duration::ZERO } else { OVERDUE };
                connection.due = Some(Instant::now() + wait + patience);
            }
            "error" => {
                self.tally.count(format!("error {}", frame.code));
                if frame.id.is_some() && frame.id == beginning {
                    self.close(connection).await;
                }
            }
            _ => {}
        }
        let (commands, met) = self.with(|following| following.take(&frame));
        if let Some(met) = met {
            self.tally.count(met);
        }
        if let Some(laps) = &self.laps
            && let Some((began, _)) =
                connection.lap.take_if(|(_, heads)| self.with(|following| following.has(heads)))
        {
            laps.note(began.elapsed());
        }
        self.send(connection, &commands).await
    }

    async fn obey(&mut self, connection: &mut Connection, order: Order) {
        match order {
            Order::Cut(hold) => {
                self.note(ClientLog::cut);
                self.balancer.cut(connection.own, hold);
            }
            Order::Stall(time) => {
                self.note(|log, now| log.stalled(now, true));
                sleep(time).await;
                self.note(|log, now| log.stalled(now, false));
            }
            Order::Judge => self.log = None,
            Order::Leave => self.leaving = true,
        }
    }

    /// Orders for one that is not connected.
    fn wait_for_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Judge => self.log = None,
                Order::Leave => self.leaving = true,
                Order::Cut(_) | Order::Stall(_) => {}
            }
        }
    }

    async fn close(&mut self, connection: &mut Connection) {
        (connection.due, connection.closing) = (None, true);
        // The connection may have ended meanwhile.
        let _ = connection.socket.close(None).await;
    }

    async fn send(&mut self, connection: &mut Connection, commands: &[Value]) -> bool {
        for command in commands {
            let text = command.to_string();
            self.note(|log, now| log.sent(now, &text));
            if connection.socket.send(Message::text(text)).await.is_err() {
                return false;
            }
        }
        true
    }

    fn note(&mut self, write: impl FnOnce(&mut ClientLog, u64)) {
        let now = self.clock.now();
        if let Some(log) = &mut self.log {
            write(log, now);
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Following) -> T) -> T {
        change(&mut self.following.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
