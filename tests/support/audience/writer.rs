//! A publisher by WebSocket: what is not confirmed it publishes again, under the same `messageId`.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::time::{interval, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::{
    balancer::Balancer,
    following::Frame,
    publisher::{Draft, Publisher},
    wire::{Socket, WITHOUT_CLOSE, WITHOUT_CODE, upgrade},
};
use crate::checker::ClientLog;

/// Messages that wait for their confirmation at one time.
const PENDING: usize = 256;
/// Before a message that was refused for now is published again.
const AGAIN: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(20);

/// Everything that a publisher is made of.
pub(crate) struct Writer {
    pub(crate) own: Publisher<Pending>,
    pub(crate) token: String,
    pub(crate) balancer: Balancer,
    pub(crate) log: ClientLog,
}

/// A message that is not confirmed.
pub(crate) struct Pending {
    topic: String,
    payload: String,
    /// The number of the command that waits for its answer.
    asked: Option<u64>,
    /// The time to publish it (again).
    due: Instant,
}

impl Writer {
    /// Publishes until the work is over and everything is confirmed.
    pub(crate) async fn run(mut self) {
        while !self.own.is_done() {
            let began = self.own.clock.now();
            let Some((socket, _, gateway)) = upgrade(&self.balancer).await else {
                sleep(Duration::from_millis(rand::random_range(20..200))).await;
                continue;
            };
            self.log.connected(began, &gateway);
            let code = self.live(socket).await;
            self.log.closed(self.own.clock.now(), code);
            self.own.tally.count(format!("writer closed {code}"));
        }
    }

    async fn live(&mut self, mut socket: Socket) -> u16 {
        let mut ids = 1;
        let setup = json!({"type": "setup", "id": ids, "token": self.token}).to_string();
        if !self.send(&mut socket, setup).await {
            return WITHOUT_CLOSE;
        }
        let now = Instant::now();
        self.own.pending.values_mut().for_each(|pending| (pending.asked, pending.due) = (None, now));
        let (mut ticks, mut ready, mut closing) = (interval(TICK), false, false);
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => ready |= self.received(text.as_str()),
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.map_or(WITHOUT_CODE, |frame| frame.code.into());
                        while let Some(Ok(_)) = socket.next().await {}
                        return code;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return WITHOUT_CLOSE,
                },
                _ = ticks.tick(), if ready && !closing => {
                    self.write_more();
                    // A connection that has ended says so when it is read.
                    self.publish(&mut socket, &mut ids).await;
                    if self.own.is_done() {
                        closing = true;
                        let _ = socket.close(None).await;
                    }
                },
            }
        }
    }

    fn write_more(&mut self) {
        self.own.write_more(PENDING, |Draft { name, number, topic, pad }| {
            let payload = format!(r#"{{"w": "{name}", "n": {number}, "pad": "{pad}"}}"#);
            Pending { topic, payload, asked: None, due: Instant::now() }
        });
    }

    async fn publish(&mut self, socket: &mut Socket, ids: &mut u64) {
        let now = Instant::now();
        let mut commands = Vec::new();
        let waiting =
            self.own.pending.iter_mut().filter(|(_, pending)| pending.asked.is_none() && pending.due <= now);
        for (number, pending) in waiting {
            *ids += 1;
            pending.asked = Some(*ids);
            let Pending { topic, payload, .. } = pending;
            // The payload goes out byte for byte, spaces included.
            commands.push(format!(
                r#"{{"type":"publish","id":{ids},"topic":"{topic}","messageId":"{}-{number}","payload":{payload}}}"#,
                self.own.name
            ));
        }
        for command in commands {
            if !self.send(socket, command).await {
                return;
            }
        }
    }

    /// A frame; `true` if it is the beginning of the session.
    fn received(&mut self, text: &str) -> bool {
        self.log.received(self.own.clock.now(), text);
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else { return false };
        let number = || {
            let asked = self.own.pending.iter().find(|(_, pending)| pending.asked == frame.id);
            frame.id.and_then(|_| asked.map(|(number, _)| *number))
        };
        match frame.kind.as_ref() {
            "ready" => return true,
            "ack" => {
                self.own.tally.count(format!("published {}", frame.status));
                number().and_then(|number| self.own.pending.remove(&number));
            }
            "error" => {
                let again = if frame.retryable { "retryable" } else { "final" };
                self.own.tally.count(format!("publish error {} {again}", frame.code));
                if let Some(pending) = number().and_then(|number| self.own.pending.get_mut(&number)) {
                    (pending.asked, pending.due) = (None, Instant::now() + AGAIN);
                }
            }
            _ => {}
        }
        false
    }

    async fn send(&mut self, socket: &mut Socket, command: String) -> bool {
        self.log.sent(self.own.clock.now(), &command);
        socket.send(Message::text(command)).await.is_ok()
    }
}
