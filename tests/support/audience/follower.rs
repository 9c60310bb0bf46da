//! A client over Server-Sent Events: it comes back with `Last-Event-ID`, as a browser does, and writes down everything.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    events::{Event, Events, Refused},
    following::{Following, Frame, is_pattern},
    participant::{Order, Participant},
    wire::WITHOUT_CLOSE,
};
use crate::checker::ClientLog;

/// No stream is waited for longer than this without being told to.
const LONG: Duration = Duration::from_hours(1);

/// A client that only reads.
pub(crate) struct Follower {
    own: Participant,
    path: String,
    bearer: String,
    last_id: String,
}

/// How a stream ends.
enum End {
    /// The gateway says why.
    Closed(u16),
    /// It does not.
    Lost,
    /// The client goes.
    Left,
}

impl Follower {
    /// One that wants these topics and patterns.
    pub(crate) fn new(own: Participant, filters: &[String]) -> Self {
        // No URL holds this one as it is.
        let topics = filters.join(",").replace('>', "%3E");
        let (path, bearer) = (format!("/sse?topics={topics}"), format!("Bearer {}", own.token));
        Self { own, path, bearer, last_id: String::new() }
    }

    /// Runs until it is told to leave.
    pub(crate) async fn run(mut self) {
        while !self.own.leaving {
            let began = self.own.clock.now();
            let mut headers = vec![("Authorization", self.bearer.as_str())];
            headers.extend(Some(("Last-Event-ID", self.last_id.as_str())).filter(|(_, id)| !id.is_empty()));
            let opened = Events::open(&self.own.balancer, &self.path, &headers).await;
            match opened {
                Ok(events) => self.follow(events, began).await,
                Err(Refused::Unanswered | Refused::Status(429 | 503)) => {
                    self.own.tally.count("stream refused");
                    self.own.wait_for_orders();
                }
                Err(Refused::Status(status)) => {
                    self.own.tally.count(format!("error {status} in the place of a stream"));
                    self.own.wait_for_orders();
                }
            }
            self.own.pause().await;
        }
    }

    /// One stream, from its beginning to its end.
    async fn follow(&mut self, events: Events, began: u64) {
        self.own.with(Following::disconnected);
        let asked = asked(&self.last_id).to_string();
        self.own.note(|log, _| {
            log.connected(began, &events.gateway);
            log.sent(began, &asked);
        });
        let code = match self.live(events).await {
            End::Closed(code) => code,
            End::Lost => WITHOUT_CLOSE,
            End::Left => {
                self.own.note(ClientLog::cut);
                WITHOUT_CLOSE
            }
        };
        self.own.note(|log, now| log.closed(now, code));
        self.own.tally.count(format!("stream closed {code}"));
    }

    async fn live(&mut self, mut events: Events) -> End {
        let mut due = Instant::now() + LONG;
        while !self.own.leaving {
            tokio::select! {
                event = events.next() => match event {
                    None => return End::Lost,
                    Some(event) if event.name == "closed" => return End::Closed(code(&event)),
                    Some(event) => due = self.received(event).unwrap_or(due),
                },
                order = self.own.orders.recv() => match order {
                    Some(Order::Cut(hold)) => {
                        self.own.note(ClientLog::cut);
                        self.own.balancer.cut(events.own, hold);
                    }
                    Some(Order::Stall(time)) => self.own.stall(time).await,
                    Some(Order::Judge) => self.own.log = None,
                    Some(Order::Leave) | None => self.own.leaving = true,
                },
                () = sleep_until(due) => return End::Left,
            }
        }
        End::Left
    }

    /// An event; gives the time at which the client is to go.
    fn received(&mut self, event: Event) -> Option<Instant> {
        self.own.note(|log, now| log.received(now, &event.data));
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(&event.data) else {
            self.own.tally.count("malformed");
            return None;
        };
        if frame.kind != event.name.as_str() {
            self.own.tally.count("events of another name than their frames");
        }
        if frame.kind == "error" {
            self.own.tally.count(format!("error {}", frame.code));
            // What could not be had now is asked for by coming again.
            return Some(Instant::now());
        }
        let (_, met) = self.own.with(|following| following.take(&frame));
        if let Some(met) = met {
            self.own.tally.count(met);
        }
        self.own.tally.count("events");
        let wait = frame.reconnect_after_ms.filter(|_| self.own.number.is_multiple_of(2));
        if let Some(id) = event.id {
            self.last_id = id;
        }
        wait.map(|wait| Instant::now() + Duration::from_millis(wait))
    }
}

/// The command that stands for a request with this `Last-Event-ID`.
fn asked(id: &str) -> Value {
    let entries = id.split(',').filter_map(|entry| entry.rsplit_once('='));
    let positions: Map<_, _> = entries
        .filter(|(topic, _)| !is_pattern(topic))
        .filter_map(|(topic, seq)| Some((topic.to_owned(), json!(seq.parse::<u64>().ok()?))))
        .collect();
    json!({"type": "resume", "lastSeqPerTopic": positions})
}

/// The code of the last event.
fn code(closed: &Event) -> u16 {
    let said: Value = serde_json::from_str(&closed.data).unwrap_or_default();
    said["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(WITHOUT_CLOSE)
}
