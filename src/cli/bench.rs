//! `topic-gateway bench`: a load generator that says when it was itself too slow.
//!
//! ```text
//!   plan ──► publisher thread ──► gateway or NATS          open loop: every message when it is due
//!              │ lag                     │
//!              ▼                         ▼
//!   figures ◄── conductor ◄── tally ◄── reader threads     every delivery checked, latency since it was due
//!      │
//!      └──► verdict ──► report, JSON, SVG
//! ```
//!
//! What decides and counts is pure: plan, bodies, frames, links, tallies, histograms, figures, verdict, report and plot.
//! Threads and sockets are in `conductor`, `readers`, `publisher` and `socket`. Memory is bounded by the plan: about 400
//! bytes of this program per connection, 16 per subscription, and a fixed amount per thread; nothing is kept per message.

mod body;
mod conductor;
mod figures;
mod frame;
mod histogram;
mod link;
mod message;
mod plan;
mod plot;
mod progress;
mod publisher;
mod readers;
mod report;
mod shared;
mod socket;
mod tally;
mod upgrade;
mod usage;
mod verdict;

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{
    Failure,
    client::{Connection, Target},
    print,
};
use crate::{
    api::Topic,
    runtime::{colours, open_files},
};
use body::Run;
use conductor::Manner;
use figures::Figures;
use plan::{Plan, span};
use progress::Progress;
use publisher::{Gateway, Nats, Outlet};
use readers::Job;
use shared::Shared;
use socket::Dialer;

/// Files that are open beside connections.
const OTHER_FILES: u64 = 64;

/// Measure deliveries under load, and say whether the figures count.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway bench                                       (against `topic-gateway dev`)
  topic-gateway bench --connections 1000 --server-pid \"$(pgrep -f 'topic-gateway dev')\"
  topic-gateway bench --connections 5000 --topics 50 --rate 2000 --nats nats://127.0.0.1:4222
  topic-gateway bench --url https://gateway.example.com --token-file token.jwt --prefix load --json run.json --svg run.svg
  topic-gateway bench --idle --connections 10000 --duration 30s --server-pid 4711

Messages are sent when they are due, whatever becomes of those before them, and latency counts from when a message was
due. Every delivery is checked. A result that does not count is marked INVALID, with the reasons; docs/bench.md says what
each figure means. Use topics of its own: it publishes to PREFIX.0, PREFIX.1 and so on.

Exit codes: 0 the result counts, 65 it is INVALID, 64 bad usage, 69 something cannot be reached, 77 the token is refused,
or a topic, 130 ended by Ctrl-C, without a result")]
pub(super) struct Args {
    /// Connections to open
    #[arg(short, long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connections: u64,
    /// Topics to publish to
    #[arg(short, long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub topics: u64,
    /// Topics that each connection subscribes to
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=65_536))]
    pub topics_per_connection: u64,
    /// What topics are called: PREFIX.0, PREFIX.1, …
    #[arg(long, default_value = "bench", value_name = "PREFIX")]
    pub prefix: String,
    /// Messages a second, over all topics
    #[arg(short, long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: u64,
    /// Messages of a topic that are due at the same time
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub burst: u64,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 216, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(body::SHORTEST as u64..=1_048_576))]
    pub size: u64,
    /// How long to send, or with --idle to hold the connections (500ms, 10s, 2m, 1h)
    #[arg(short, long, default_value = "10s", value_name = "TIME", value_parser = span)]
    pub duration: Duration,
    /// How long to send before that; what is due then is checked and not measured
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = span)]
    pub warmup: Duration,
    /// Connections to open a second
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connect_rate: u64,
    /// Connections that publish; all messages of a topic go over the same one
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000), conflicts_with_all = ["nats", "idle"])]
    pub publishers: u64,
    /// Threads that read
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    pub threads: u64,
    /// Send nothing: what connections cost that are subscribed and receive nothing
    #[arg(long, conflicts_with_all = ["rate", "burst", "size", "warmup"])]
    pub idle: bool,
    /// Process of the server, where it is on this machine, to tell its CPU time and memory
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// How late messages may be sent at p99 in a result that counts
    #[arg(long, default_value = "10ms", value_name = "TIME", value_parser = span)]
    pub max_lag: Duration,
    /// File to write the result to, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// File to draw the latencies to, as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Another way for messages than over the gateway.
    #[command(flatten)]
    pub nats: publisher::Options,
    /// Which gateway, and as whom.
    #[command(flatten)]
    pub connection: Connection,
}

/// What `--json` holds.
#[derive(Serialize)]
struct Written<'a> {
    valid: bool,
    reasons: &'a [String],
    #[serde(flatten)]
    figures: &'a Figures,
}

/// Runs the command; the result is printed whether it counts or not.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let target = args.connection.target()?;
    let plan = args.plan()?;
    // Before a long run rather than after it.
    let (json, svg) = (create(args.json.as_deref())?, create(args.svg.as_deref())?);
    make_room(plan.connections + args.publishers)?;
    let figures = args.measure(&plan, &target)?;
    let reasons = verdict::reasons(&figures, args.max_lag);
    print(&report::text(&figures, &reasons, colours::wanted(&io::stdout())))?;
    if let Some(file) = json {
        let written = Written { valid: reasons.is_empty(), reasons: &reasons, figures: &figures };
        let text = serde_json::to_string_pretty(&written)
            .map_err(|error| Failure::internal(format!("cannot write the result: {error}")))?;
        file.write(&format!("{text}\n"))?;
    }
    if let Some(file) = svg {
        file.write(&plot::svg(&figures, &reasons))?;
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(format!("the result is INVALID: {}", reasons.join("; "))))
}

impl Args {
    fn plan(&self) -> Result<Plan, Failure> {
        let topic = format!("{}.0", self.prefix);
        topic.parse::<Topic>().map_err(|error| Failure::usage(format!("topic {topic:?}: {error}")))?;
        let bad = |text: String| Err(Failure::usage(text));
        if self.topics_per_connection > self.topics {
            let (each, topics) = (self.topics_per_connection, self.topics);
            return bad(format!("a connection cannot hold {each} of {topics} topics: raise --topics"));
        }
        if self.publishers > self.topics {
            let (publishers, topics) = (self.publishers, self.topics);
            return bad(format!(
                "{publishers} connections cannot share {topics} topics, of which each needs one for its order: raise \
                 --topics or lower --publishers"
            ));
        }
        if self.threads > self.connections {
            return bad(format!("{} threads have too few connections: lower --threads", self.threads));
        }
        if self.duration.is_zero() {
            return bad("nothing can be measured in no time: give a longer --duration".into());
        }
        Ok(Plan {
            connections: self.connections,
            topics: self.topics,
            topics_per_connection: self.topics_per_connection,
            prefix: self.prefix.clone(),
            rate: self.rate,
            burst: self.burst,
            size: usize::try_from(self.size).unwrap_or(body::SHORTEST),
            warmup: if self.idle { Duration::ZERO } else { self.warmup },
            duration: self.duration,
            idle: self.idle,
        })
    }

    fn measure(&self, plan: &Plan, target: &Target) -> Result<Figures, Failure> {
        let (dialer, shared) = (Dialer::new(&target.url, &target.tls)?, Shared::default());
        let run = Run::new(rand::random());
        let job = Job { plan, run, target, dialer: &dialer, shared: &shared };
        let outlet: Option<Box<dyn Outlet + '_>> = match Nats::open(plan, &self.nats)? {
            _ if plan.idle => None,
            Some(nats) => Some(Box::new(nats)),
            None => Some(Box::new(Gateway::open(job, self.publishers)?)),
        };
        let manner = Manner {
            threads: self.threads,
            connect_rate: self.connect_rate,
            server: self.server_pid,
            nats: self.nats.nats.is_some(),
        };
        let mut progress = Progress::new(io::stderr(), io::stderr().is_terminal());
        conductor::conduct(job, manner, outlet, &mut progress)
    }
}

/// A file that is going to be written.
struct Output<'a> {
    path: &'a Path,
    file: File,
}

fn create(path: Option<&Path>) -> Result<Option<Output<'_>>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let file = File::create(path)
        .map_err(|error| Failure::usage(format!("cannot write to {}: {error}", path.display())))?;
    Ok(Some(Output { path, file }))
}

impl Output<'_> {
    fn write(mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| {
            Failure::unavailable(format!("cannot write to {}: {error}", self.path.display()))
        })
    }
}

/// Raises the limit of open files for so many connections.
fn make_room(connections: u64) -> Result<(), Failure> {
    // Where it cannot be raised, connections tell.
    let limit = open_files::raise().unwrap_or(u64::MAX);
    if limit >= connections.saturating_add(OTHER_FILES) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{connections} connections need as many open files and {OTHER_FILES} more, and only {limit} are allowed: raise \
         the hard limit (ulimit -Hn), or open fewer"
    )))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(words: &[&str]) -> Result<Args, clap::Error> {
        Command::try_parse_from([&["bench"], words].concat()).map(|command| command.args)
    }

    #[test]
    fn without_options_it_measures_the_gateway_of_dev() {
        let args = parsed(&[]).unwrap();
        let plan = args.plan().unwrap();
        assert_eq!((plan.connections, plan.topics, plan.rate, plan.size), (100, 1, 50, 216));
        assert_eq!((plan.duration, plan.warmup), (Duration::from_secs(10), Duration::from_secs(1)));
        assert_eq!(args.connection.url, "ws://127.0.0.1:8080/ws");
    }

    #[test]
    fn what_cannot_be_done_is_bad_usage_with_the_option_to_change() {
        for (words, option) in [
            (&["--topics-per-connection", "2"][..], "--topics"),
            (&["--publishers", "2"], "--publishers"),
            (&["--threads", "101"], "--threads"),
            (&["--duration", "0s"], "--duration"),
            (&["--prefix", "a b"], "a b.0"),
        ] {
            let failure = parsed(words).unwrap().plan().unwrap_err();
            assert!(failure.code == 64 && failure.message.contains(option), "{words:?}: {failure}");
        }
        for words in [
            &["--connections", "0"][..],
            &["--size", "80"],
            &["--duration", "10"],
            &["--idle", "--rate", "1"],
            &["--idle", "--nats", "nats://a"],
            &["--nats", "nats://a", "--publishers", "2"],
            &["--nats-credentials", "file"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before_the_run() {
        let failure = create(Some(Path::new("/no/such/folder/run.json"))).map(|_| ()).unwrap_err();
        assert!(failure.code == 64 && failure.message.contains("/no/such/folder"), "{failure}");
    }

    #[test]
    fn more_connections_than_files_may_be_open_are_bad_usage() {
        assert_eq!(make_room(1), Ok(()));
        let failure = make_room(u64::MAX - OTHER_FILES);
        // Where there is no limit there is none to be told.
        if let Err(failure) = failure {
            assert!(failure.code == 64 && failure.message.contains("ulimit -Hn"), "{failure}");
        }
    }
}
