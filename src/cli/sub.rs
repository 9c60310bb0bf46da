//! `topic-gateway sub`: prints what arrives on topics.

mod positions;
mod view;

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use futures_util::SinkExt;
use serde_json::json;
use tokio::{
    select, signal,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{
    Failure,
    client::{self, Connection, Event, Frame, Socket, Target},
};
use crate::{api::Filter, runtime::colours};
use positions::{Positions, Session};
use view::{Style, View};

/// How long a message may wait for its acknowledgement, which goes up to the last one: whatever is sent until it is
/// acknowledged would stop else.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(100);
/// Messages after which it waits no longer; gateways send more than twice as many without one.
const ACKNOWLEDGE_EVERY: u32 = 100;
/// Longest wait for a connection to take our close.
const FAREWELL: Duration = Duration::from_secs(1);

/// Print what is published on topics.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway sub prices.btc
  topic-gateway sub 'prices.*' news --url https://gateway.example.com --token-file token.jwt
  topic-gateway sub prices.btc --count 1 --json | jq .data
  topic-gateway sub prices.btc --last 10

Prints a line per message: topic, number in the topic (or -), data. Gaps, errors and reconnects are told on
standard error. After a reconnect it goes on where it was, if the topic has a history. Ends with Ctrl-C, after
--count messages, or when no topic is left that may be read.

Exit codes: 0 ended by Ctrl-C or after --count messages, 64 bad usage, 69 no gateway can be reached, 77 the token is
refused, or every topic")]
pub(super) struct Args {
    /// Topics, or patterns with * (one token) and > (the rest)
    #[arg(required = true, value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = client::positive)]
    pub count: Option<u64>,
    /// Begin with the last N messages of each topic
    #[arg(long, value_name = "N", conflicts_with = "from_seq", value_parser = client::positive)]
    pub last: Option<u64>,
    /// Begin with this number of each topic, or with the first one that is still there
    #[arg(long, value_name = "N", value_parser = client::positive)]
    pub from_seq: Option<u64>,
    /// Print the gateway's frames as they are, one a line
    #[arg(long)]
    pub json: bool,
    /// Which gateway, and as whom.
    #[command(flatten)]
    pub connection: Connection,
}

/// Runs the command until Ctrl-C, the last message asked for, or a failure that waiting does not mend.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let target = args.connection.target()?;
    for topic in &args.topics {
        let filter = topic.parse::<Filter>();
        let filter = filter.map_err(|error| Failure::usage(format!("topic {topic:?}: {error}")))?;
        if matches!(filter, Filter::Pattern(_)) && args.last.or(args.from_seq).is_some() {
            return Err(Failure::usage(format!(
                "{topic:?} is a pattern, which has no history: name its topics, or leave --last and --from-seq out"
            )));
        }
    }
    let style = Style {
        json: args.json,
        colour: colours::wanted(&io::stdout()),
        // Whoever looks on is told that it works before the first message comes.
        subscriptions: io::stderr().is_terminal(),
    };
    let view = View::new(io::stdout().lock(), io::stderr(), style);
    let (left, positions) = (args.count, Positions::default());
    let start = args.last.map(|last| ("last", last)).or(args.from_seq.map(|seq| ("fromSeq", seq)));
    let mut follower = Follower { target, view, wanted: args.topics, start, positions, left, failures: 0 };
    client::block_on(async {
        select! {
            result = follower.follow() => result,
            _ = signal::ctrl_c() => Ok(()),
        }
    })
}

/// Why a connection is over, where that is no failure.
enum End {
    /// Everything asked for is printed, or nobody reads any more.
    Done,
    /// Connect again, not before this moment.
    Lost { why: String, not_before: Option<Instant> },
}

struct Follower<O, E> {
    target: Target,
    view: View<O, E>,
    /// Topics that have not been refused for good.
    wanted: Vec<String>,
    /// Field of `subscribe` that says where to begin on topics that have no position yet.
    start: Option<(&'static str, u64)>,
    /// How far the topics are.
    positions: Positions,
    /// Messages still to print.
    left: Option<u64>,
    /// Attempts to connect since the gateway last was ready.
    failures: u32,
}

impl<O: Write, E: Write> Follower<O, E> {
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut socket = self.target.connect().await?;
        loop {
            let end = self.stay(&mut socket).await?;
            // Answers the gateway's close, or says ours; the gateway may be gone already. The old connection ends
            // before the next begins.
            let _ = timeout(FAREWELL, socket.close(None)).await;
            drop(socket);
            socket = match end {
                End::Done => return Ok(()),
                End::Lost { why, not_before } => self.come_back(&why, not_before).await,
            };
        }
    }

    /// Connects again, however long that takes.
    async fn come_back(&mut self, why: &str, not_before: Option<Instant>) -> Socket {
        let mut why = why.to_owned();
        let mut not_before = not_before;
        loop {
            let pause = match not_before.take() {
                Some(moment) => moment.saturating_duration_since(Instant::now()),
                None => client::pause(self.failures, rand::random()),
            };
            self.view.say(&format!("{why}; connecting again in {:.1} s", pause.as_secs_f64()));
            sleep(pause).await;
            self.failures += 1;
            match self.target.connect().await {
                Ok(socket) => return socket,
                Err(failure) => why = failure.message,
            }
        }
    }

    /// Uses one connection until it ends.
    async fn stay(&mut self, socket: &mut Socket) -> Result<End, Failure> {
        let mut silence = client::PATIENCE;
        let mut leave_at = None;
        let mut retry = Retry::default();
        let mut acks = Acks::default();
        if let Err(error) = self.begin(socket).await {
            return Ok(lost(&error));
        }
        loop {
            let event = select! {
                event = client::listen(socket, silence) => event,
                () = at(leave_at) => return Ok(End::Lost { why: "leaving this gateway".into(), not_before: leave_at }),
                () = at(retry.at) => match self.subscribe(socket, std::mem::take(&mut retry.topics)).await {
                    Ok(()) => { retry.at = None; continue }
                    Err(error) => return Ok(lost(&error)),
                },
                () = at(acks.at) => match self.acknowledge(socket).await {
                    Ok(()) => { acks = Acks::default(); continue }
                    Err(error) => return Ok(lost(&error)),
                },
            };
            let (frame, text) = match event {
                Event::Frame(frame, text) => (frame, text),
                Event::Closed { code, why } => match client::dismissed(code, &why) {
                    Some(failure) => return Err(failure),
                    None => return Ok(End::Lost { why, not_before: leave_at }),
                },
            };
            if !self.positions.sees(&frame) {
                continue;
            }
            if self.view.frame(&frame, &text).is_err() {
                return Ok(End::Done);
            }
            match frame.kind.as_str() {
                "ready" => {
                    self.failures = 0;
                    // A ping may take its time, and its answer; three periods of silence are a dead connection.
                    let beat = frame.heartbeat_seconds.unwrap_or(0).clamp(5, 3600);
                    silence = Duration::from_secs(beat * 3);
                    if frame.resumed
                        && let Err(error) = self.subscribe(socket, self.not_resumed()).await
                    {
                        return Ok(lost(&error));
                    }
                }
                "message" if self.counted() => return Ok(End::Done),
                "message" => acks.one_more(),
                "draining" => {
                    let wait = Duration::from_millis(frame.reconnect_after_ms.unwrap_or(0).min(3_600_000));
                    leave_at = Some(Instant::now() + wait);
                }
                "error" if frame.code == "SESSION_EXPIRED" => {
                    self.positions.forget_session();
                    if let Err(error) = self.subscribe(socket, self.wanted.clone()).await {
                        return Ok(lost(&error));
                    }
                }
                "error" => self.refused(&frame, &mut retry)?,
                _ => {}
            }
        }
    }

    /// Goes on with the session there was, or begins one.
    async fn begin(&self, socket: &mut Socket) -> Result<(), Error> {
        match self.positions.session() {
            Some(Session { id, epoch, last }) => self.target.resume(socket, id, &last, epoch).await,
            None if self.start.is_none() => self.target.set_up(socket, &self.wanted).await,
            None => {
                self.target.set_up(socket, &[]).await?;
                self.subscribe(socket, self.wanted.clone()).await
            }
        }
    }

    /// What `resume` has not asked for.
    fn not_resumed(&self) -> Vec<String> {
        let resumed = self.positions.session().map(|session| session.last).unwrap_or_default();
        self.wanted.iter().filter(|topic| !resumed.contains_key(topic.as_str())).cloned().collect()
    }

    /// Subscribes, from where it was on if that is known.
    async fn subscribe(&self, socket: &mut Socket, topics: Vec<String>) -> Result<(), Error> {
        for topic in topics {
            let mut command = json!({"type": "subscribe", "topic": topic});
            if let Some(position) = self.positions.of(&topic) {
                command["fromSeq"] = (position.seq + 1).into();
                if let Some(epoch) = &position.epoch {
                    command["epoch"] = epoch.as_str().into();
                }
            } else if let Some((field, value)) = self.start {
                command[field] = value.into();
            }
            socket.feed(Message::text(command.to_string())).await?;
        }
        socket.flush().await
    }

    /// Acknowledges what was printed; where nobody waits for it, that changes nothing.
    async fn acknowledge(&mut self, socket: &mut Socket) -> Result<(), Error> {
        for (topic, seq) in self.positions.take_read() {
            let ack = json!({"type": "ack", "topic": topic, "seqNo": seq});
            socket.feed(Message::text(ack.to_string())).await?;
        }
        socket.flush().await
    }

    /// Counts a message; `true` for the last.
    fn counted(&mut self) -> bool {
        self.left = self.left.map(|left| left - 1);
        self.left == Some(0)
    }

    fn refused(&mut self, frame: &Frame, retry: &mut Retry) -> Result<(), Failure> {
        match &frame.topic {
            Some(topic) if frame.retryable => retry.later(topic),
            Some(topic) => {
                self.wanted.retain(|wanted| wanted != topic);
                if self.wanted.is_empty() {
                    return Err(frame.failure());
                }
            }
            None if frame.retryable => {}
            None => return Err(frame.failure()),
        }
        self.view.error(frame);
        Ok(())
    }
}

/// Messages that are not acknowledged yet, and when they are to be.
#[derive(Default)]
struct Acks {
    messages: u32,
    at: Option<Instant>,
}

impl Acks {
    fn one_more(&mut self) {
        self.messages += 1;
        if self.messages >= ACKNOWLEDGE_EVERY {
            self.at = Some(Instant::now());
        } else {
            self.at.get_or_insert_with(|| Instant::now() + ACKNOWLEDGE_AFTER);
        }
    }
}

/// Topics the gateway could not serve for now; at most those asked for.
#[derive(Default)]
struct Retry {
    topics: Vec<String>,
    at: Option<Instant>,
    times: u32,
}

impl Retry {
    fn later(&mut self, topic: &str) {
        if !self.topics.iter().any(|known| known == topic) {
            self.topics.push(topic.into());
        }
        if self.at.is_none() {
            self.at = Some(Instant::now() + client::pause(self.times, rand::random()));
            self.times += 1;
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn lost(error: &Error) -> End {
    End::Lost { why: format!("the connection was lost: {error}"), not_before: None }
}

#[cfg(test)]
mod tests;
