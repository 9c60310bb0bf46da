//! `topic-gateway pub`: publishes to a topic and waits until the backbone has confirmed.

mod payload;

use std::{
    io::{self, IsTerminal, Read, Write},
    time::Duration,
};

use futures_util::SinkExt;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, BufReader},
    select,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{
    Failure,
    client::{self, Connection, Event, Frame, PATIENCE, SETUP, Socket, Target, tame},
};
use crate::api::Topic;

/// Longest silence while we wait for the next line. Where pings come more seldom, a new connection does no harm.
const SILENCE: Duration = Duration::from_mins(2);

/// Publish to a topic, and say what became of each message.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway pub prices.btc '{\"bid\": 64000}'
  topic-gateway pub news 'hello world'            (sent as the JSON string \"hello world\")
  topic-gateway pub prices.btc < tick.json        (the whole file is one message)
  tail -f ticks.ndjson | topic-gateway pub prices.btc -

Prints `ok` or `duplicate` and the message's number for each message the backbone has confirmed. Ends with 0 only
if all were confirmed. A message that was not is tried again under the same messageId: it is never stored twice.

Exit codes: 0 all are confirmed, 64 bad usage, or a message that is too large, 69 no gateway can be reached, or a message
is not confirmed, 77 the token is refused, or the topic, 130 ended by Ctrl-C")]
pub(super) struct Args {
    /// Topic to publish to
    pub topic: String,
    /// JSON to publish; anything else is sent as a JSON string. `-`: each line of standard input is a message.
    /// Left out: all of standard input is one message
    pub payload: Option<String>,
    /// messageId of the message, by which duplicates are known; for one message only [default: a random one each]
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,
    /// How often a message is tried again
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub retries: u32,
    /// Print the gateway's frames as they are, one a line
    #[arg(long)]
    pub json: bool,
    /// Which gateway, and as whom.
    #[command(flatten)]
    pub connection: Connection,
}

/// Runs the command until every message is confirmed or one is given up.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let target = args.connection.target()?;
    let bad_topic = |error| Failure::usage(format!("topic {:?}: {error}", args.topic));
    let topic: Topic = args.topic.parse().map_err(bad_topic)?;
    let lines = args.payload.as_deref() == Some("-");
    if lines && args.message_id.is_some() {
        return Err(Failure::usage(
            "--message-id is for one message: leave it out, or give a payload instead of -",
        ));
    }
    let one = if lines { None } else { Some(payload::json(&whole(args.payload)?)?) };
    let sender = Sender {
        target,
        topic,
        retries: args.retries,
        json: args.json,
        out: io::stdout().lock(),
        err: io::stderr(),
        sent: 0,
    };
    client::block_on(async {
        match one {
            Some(payload) => sender.one(args.message_id, &payload).await,
            None => sender.lines(BufReader::new(tokio::io::stdin())).await,
        }
    })
}

/// The payload given, or all of standard input without the line end that editors and `echo` leave.
fn whole(payload: Option<String>) -> Result<String, Failure> {
    if let Some(payload) = payload {
        return Ok(payload);
    }
    let missing = || Failure::usage("nothing to publish: give a payload, - for lines, or pipe a message in");
    if io::stdin().is_terminal() {
        return Err(missing());
    }
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(missing()) } else { Ok(text.into()) }
}

struct Sender<O, E> {
    target: Target,
    topic: Topic,
    retries: u32,
    json: bool,
    out: O,
    err: E,
    /// Publish commands sent so far; names them in the answers.
    sent: u64,
}

/// The `publish` command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", tag = "type", rename = "publish")]
struct Publish<'a> {
    id: u64,
    topic: &'a Topic,
    message_id: &'a str,
    payload: &'a RawValue,
}

/// Why a message is not confirmed.
enum Trouble {
    /// Another attempt may help; `broken`: on another connection.
    Passing { why: Failure, broken: bool },
    /// Nothing helps.
    Lasting(Failure),
}

impl<O: Write, E: Write> Sender<O, E> {
    async fn one(mut self, message_id: Option<String>, payload: &RawValue) -> Result<(), Failure> {
        let mut socket = Some(open(&self.target).await?);
        self.deliver(&mut socket, message_id, payload).await?;
        self.bye(socket).await
    }

    /// Publishes each line that is not blank.
    async fn lines(mut self, input: impl AsyncBufRead + Unpin) -> Result<(), Failure> {
        let mut lines = input.lines();
        let mut socket = Some(open(&self.target).await?);
        loop {
            let line = select! {
                line = lines.next_line() => line,
                () = ended(&mut socket) => {
                    socket = None;
                    continue;
                }
            };
            let line =
                line.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            let Some(line) = line else { return self.bye(socket).await };
            if !line.trim().is_empty() {
                self.deliver(&mut socket, None, &payload::json(&line)?).await?;
            }
        }
    }

    async fn bye(mut self, socket: Option<Socket>) -> Result<(), Failure> {
        if let Some(mut socket) = socket {
            // All is confirmed; whether the gateway hears the farewell does not matter.
            let _ = timeout(PATIENCE, socket.close(None)).await;
        }
        self.out.flush().map_err(|error| cannot_print(&error))
    }

    /// Publishes one message, several times if need be, under one id.
    async fn deliver(
        &mut self,
        socket: &mut Option<Socket>,
        message_id: Option<String>,
        payload: &RawValue,
    ) -> Result<(), Failure> {
        let message_id = message_id.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        let mut attempts = 0;
        loop {
            let (why, broken) = match self.attempt(socket, &message_id, payload).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Lasting(failure)) => return Err(failure),
                Err(Trouble::Passing { why, broken }) => (why, broken),
            };
            if attempts == self.retries {
                return Err(Failure {
                    message: format!("message {message_id} is not confirmed: {why}"),
                    ..why
                });
            }
            if broken {
                *socket = None;
            }
            let pause = client::pause(attempts, rand::random());
            attempts += 1;
            let _ =
                writeln!(self.err, "{}; trying again in {:.1} s", tame(&why.message), pause.as_secs_f64());
            sleep(pause).await;
        }
    }

    async fn attempt(
        &mut self,
        socket: &mut Option<Socket>,
        message_id: &str,
        payload: &RawValue,
    ) -> Result<(), Trouble> {
        let socket = match socket {
            Some(socket) => socket,
            None => socket.insert(open(&self.target).await?),
        };
        self.sent += 1;
        let command = Publish { id: self.sent, topic: &self.topic, message_id, payload };
        let command = serde_json::to_string(&command)
            .map_err(|error| Failure::internal(format!("cannot write the message: {error}")))?;
        socket.send(Message::text(command)).await.map_err(|error| lost(&error.to_string()))?;
        let (ack, text) = answer(socket, self.sent).await?;
        self.print(&ack, &text).map_err(|error| cannot_print(&error).into())
    }

    fn print(&mut self, ack: &Frame, text: &str) -> io::Result<()> {
        if self.json {
            return writeln!(self.out, "{text}");
        }
        let status = tame(ack.status.as_deref().unwrap_or("ok"));
        match ack.seq_no {
            Some(seq) => writeln!(self.out, "{status} {seq}"),
            None => writeln!(self.out, "{status}"),
        }
    }
}

/// A connection on which the gateway knows who we are.
async fn open(target: &Target) -> Result<Socket, Trouble> {
    let mut socket = target.connect().await.map_err(|why| Trouble::Passing { why, broken: true })?;
    target.set_up(&mut socket, &[]).await.map_err(|error| lost(&error.to_string()))?;
    answer(&mut socket, SETUP).await?;
    Ok(socket)
}

/// Waits for the answer to the command of this id.
async fn answer(socket: &mut Socket, id: u64) -> Result<(Box<Frame>, Utf8Bytes), Trouble> {
    let search = async {
        loop {
            match client::listen(socket, PATIENCE).await {
                // An error that answers no command is about the connection as a whole.
                Event::Frame(frame, _) if frame.kind == "error" && frame.id.is_none_or(|own| own == id) => {
                    let why = frame.failure();
                    let passing = Trouble::Passing { why: why.clone(), broken: false };
                    return Err(if frame.retryable { passing } else { Trouble::Lasting(why) });
                }
                Event::Frame(frame, text) if frame.id == Some(id) => return Ok((frame, text)),
                Event::Frame(..) => {}
                Event::Closed { code, why } => {
                    return Err(client::dismissed(code, &why).map_or_else(|| lost(&why), Trouble::Lasting));
                }
            }
        }
    };
    let late = || lost(&format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, search).await.unwrap_or_else(|_| Err(late()))
}

/// Reads, and so answers pings, until the connection ends.
async fn ended(socket: &mut Option<Socket>) {
    let Some(socket) = socket else { return std::future::pending().await };
    while let Event::Frame(..) = client::listen(socket, SILENCE).await {}
}

fn lost(why: &str) -> Trouble {
    Trouble::Passing { why: Failure::unavailable(format!("the connection was lost: {why}")), broken: true }
}

fn cannot_print(error: &io::Error) -> Failure {
    Failure::internal(format!("the message is confirmed, but that cannot be printed: {error}"))
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Lasting(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Passing { why, .. } | Trouble::Lasting(why) => why,
        }
    }
}

#[cfg(test)]
mod tests;
