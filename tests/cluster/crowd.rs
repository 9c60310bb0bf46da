//! Many clients at once, each of which comes back when it is sent away, and remembers what happened to it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

use crate::cluster::wait_for;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Pause after a connection that could not be made.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for a connection: an address without a pod behind it does not answer.
const CONNECTING: Duration = Duration::from_secs(3);
/// A connection that ended without a close frame (RFC 6455, 7.1.5).
pub(crate) const CUT: u16 = 1006;

/// What happened to one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Topics it asks for at each connection.
    pub(crate) topics: Vec<String>,
    /// Topics it holds now.
    pub(crate) held: usize,
    /// Data of the messages, in the order of their arrival.
    pub(crate) received: Vec<Value>,
    /// Errors it was told.
    pub(crate) errors: Vec<Value>,
    /// Ends of its connections.
    pub(crate) closes: Vec<Close>,
    /// Attempts to connect that failed.
    pub(crate) refused: usize,
    /// What was said to failed attempts, the last of it.
    pub(crate) refusal: String,
}

/// The end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Close {
    /// The code, [`CUT`] without one.
    pub(crate) code: u16,
    /// When.
    pub(crate) at: Instant,
    /// When the client was told to be back, where it was told.
    pub(crate) due: Option<Instant>,
    /// When it held all its topics again.
    pub(crate) back: Option<Instant>,
}

impl Close {
    /// For how long it was without a pod beyond what it was told.
    pub(crate) fn overdue(&self) -> Option<Duration> {
        let from = self.due.map_or(self.at, |due| due.max(self.at));
        Some(self.back?.saturating_duration_since(from))
    }
}

/// Clients that run in the background until it is dropped.
pub(crate) struct Crowd {
    runtime: Runtime,
    members: Vec<Arc<Mutex<History>>>,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, members: Vec::new() }
    }

    /// Lets `count` clients in who hold these topics.
    pub(crate) fn join(&mut self, count: usize, url: &str, topics: &[&str], token: Option<&str>) {
        for _ in 0..count {
            let topics: Vec<String> = topics.iter().copied().map(str::to_owned).collect();
            let mut setup = json!({"type": "setup", "topics": topics});
            if let Some(token) = token {
                setup["token"] = json!(token);
            }
            let history = Arc::new(Mutex::new(History { topics, ..History::default() }));
            self.runtime.spawn(stay(url.to_owned(), setup.to_string(), history.clone()));
            self.members.push(history);
        }
    }

    /// What happened so far, a history for each client in the order in which they were let in.
    pub(crate) fn histories(&self) -> Vec<History> {
        self.members.iter().map(|member| member.lock().unwrap().clone()).collect()
    }

    /// The ends of all connections.
    pub(crate) fn closes(&self) -> Vec<Close> {
        self.histories().into_iter().flat_map(|history| history.closes).collect()
    }

    /// How many hold all their topics now.
    pub(crate) fn attached(&self) -> usize {
        self.histories().iter().filter(|history| history.held == history.topics.len()).count()
    }

    /// Waits until everybody holds all topics.
    #[track_caller]
    pub(crate) fn wait_until_attached(&self) {
        let all = self.members.len();
        wait_for(&format!("{all} clients hold their topics"), || match self.attached() {
            attached if attached == all => Ok(()),
            attached => Err(format!("{attached} do; {:?}", self.missing())),
        });
    }

    /// Somebody who does not hold all topics.
    fn missing(&self) -> Option<History> {
        self.histories().into_iter().find(|history| history.held < history.topics.len())
    }

    /// Waits until everybody has exactly the data that `due` says, since the last call.
    #[track_caller]
    pub(crate) fn wait_until_received(&self, due: impl Fn(&History) -> Vec<Value>) {
        wait_for("everybody has what was published", || {
            let late =
                self.histories().into_iter().find(|history| history.received.len() < due(history).len());
            late.map_or(Ok(()), |history| Err(format!("{history:?}")))
        });
        for member in &self.members {
            let mut history = member.lock().unwrap();
            let expected = due(&history);
            assert_eq!(history.received, expected, "{:?}", history.topics);
            history.received.clear();
        }
    }

    /// Forgets messages and closes.
    pub(crate) fn forget(&self) {
        for member in &self.members {
            let mut history = member.lock().unwrap();
            history.received.clear();
            history.closes.clear();
        }
    }

    /// Nobody's connection has ended.
    #[track_caller]
    pub(crate) fn assert_nobody_was_closed(&self) {
        let closes = self.closes();
        assert!(closes.is_empty(), "{} were closed: {:?}", closes.len(), closes.first());
    }

    /// All ends of connections were of a gateway that goes away: told before, with 1012, and never for longer without
    /// a pod than they were told plus this margin. Gives how many there were.
    #[track_caller]
    pub(crate) fn assert_drained_well(&self, margin: Duration) -> usize {
        let closes = self.closes();
        for close in &closes {
            assert_eq!(close.code, 1012, "{close:?}");
            assert!(close.due.is_some(), "not told before: {close:?}");
            let overdue = close.overdue().unwrap_or_else(|| panic!("still away: {close:?}"));
            assert!(overdue < margin, "back {overdue:?} late: {close:?}");
        }
        closes.len()
    }
}

/// Connects for as long as the runtime lives.
async fn stay(url: String, setup: String, history: Arc<Mutex<History>>) {
    loop {
        match timeout(CONNECTING, connect_async(&url)).await {
            Ok(Ok((socket, _))) => {
                let (code, due) = live(socket, &setup, &history).await;
                history.lock().unwrap().close(code, due);
                if let Some(due) = due {
                    sleep(due.saturating_duration_since(Instant::now())).await;
                }
            }
            other => {
                let refusal = match other {
                    Ok(Err(Error::Http(answer))) => format!("{} {:?}", answer.status(), answer.body()),
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {CONNECTING:?}"),
                };
                history.lock().unwrap().refuse(refusal);
                sleep(PAUSE).await;
            }
        }
    }
}

/// One connection: its close code, and when the gateway wants to be left for another.
async fn live(mut socket: Socket, setup: &str, history: &Mutex<History>) -> (u16, Option<Instant>) {
    let (mut code, mut due) = (CUT, None);
    if socket.send(Message::text(setup)).await.is_err() {
        return (code, due);
    }
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(text.as_str()).expect("a JSON frame");
                if frame["type"] == "draining" {
                    let wait = frame["reconnectAfterMs"].as_u64().expect("a time to be back");
                    due = Some(Instant::now() + Duration::from_millis(wait));
                }
                history.lock().unwrap().take(frame);
            }
            Message::Close(Some(frame)) => code = frame.code.into(),
            _ => {}
        }
    }
    (code, due)
}

impl History {
    fn close(&mut self, code: u16, due: Option<Instant>) {
        self.held = 0;
        self.closes.push(Close { code, at: Instant::now(), due, back: None });
    }

    fn refuse(&mut self, refusal: String) {
        self.refused += 1;
        self.refusal = refusal;
    }

    fn take(&mut self, mut frame: Value) {
        match frame["type"].as_str().unwrap_or_default() {
            "subscribed" => {
                self.held += 1;
                if self.held == self.topics.len()
                    && let Some(close) = self.closes.last_mut()
                {
                    close.back = Some(Instant::now());
                }
            }
            "message" => self.received.push(frame["data"].take()),
            "error" => self.errors.push(frame),
            _ => {}
        }
    }
}
