//! Publishing over WebSocket, as clients do.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use super::{Outlet, Unconfirmed};
use crate::cli::{
    Failure,
    bench::{
        readers::Job,
        socket::{Dialer, Owner, Wire},
    },
    client::{Frame, PATIENCE, Target},
};

/// Bytes that may wait for a socket before publishing waits too.
const MOST_UNSENT: usize = 1 << 20;
/// How long the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
const BUFFER: usize = 64 * 1024;
const STEP: Duration = Duration::from_millis(10);
/// How an answer that confirms begins.
const ACK: &[u8] = br#"{"type":"ack","#;

/// Some connections that publish. All messages of a topic go over the same one, for their order.
pub(in crate::cli::bench) struct Gateway<'a> {
    job: Job<'a>,
    poll: Poll,
    events: Events,
    wires: Vec<Wire>,
    buffer: Vec<u8>,
    command: Vec<u8>,
    answers: Answers<'a>,
    put: u64,
}

/// What the gateway has said to what was published.
struct Answers<'a> {
    target: &'a Target,
    confirmed: u64,
    refused: u64,
    first_refusal: Option<String>,
}

impl Owner for Answers<'_> {
    fn set_up(&self) -> String {
        self.target.set_up_command(&[])
    }

    fn hear(&mut self, text: &[u8], _: Instant) {
        if text.starts_with(ACK) {
            self.confirmed += 1;
            return;
        }
        match serde_json::from_slice::<Frame>(text) {
            Ok(frame) if frame.kind == "ack" => self.confirmed += 1,
            Ok(frame) if frame.kind == "error" => {
                self.refused += 1;
                self.first_refusal.get_or_insert_with(|| frame.failure().message);
            }
            _ => {}
        }
    }
}

impl<'a> Gateway<'a> {
    /// Opens so many connections and waits until they may publish.
    pub(in crate::cli::bench) fn open(job: Job<'a>, count: u64) -> Result<Self, Failure> {
        let poll = Poll::new().map_err(|error| cannot_wait(&error))?;
        let dialer: &Dialer = job.dialer;
        let wires: Result<Vec<Wire>, Failure> =
            (0..count).map(|number| dialer.dial(number, 0, poll.registry())).collect();
        let answers = Answers { target: job.target, confirmed: 0, refused: 0, first_refusal: None };
        let (events, buffer) = (Events::with_capacity(256), vec![0; BUFFER]);
        let mut gateway =
            Self { job, poll, events, wires: wires?, buffer, command: Vec::new(), answers, put: 0 };
        let began = Instant::now();
        while !gateway.wires.iter().all(Wire::is_live) {
            if began.elapsed() > PATIENCE {
                return Err(Failure::unavailable(format!(
                    "the connections to {} that are to publish were not set up within {} s; look at the gateway's log",
                    dialer.url(),
                    PATIENCE.as_secs()
                )));
            }
            gateway.read(STEP)?;
        }
        Ok(gateway)
    }

    fn read(&mut self, wait: Duration) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(|error| cannot_wait(&error))?,
        }
        for event in &self.events {
            let Some(wire) = self.wires.get_mut(event.token().0) else { continue };
            let all = event.is_read_closed() || event.is_error();
            wire.serve(self.job.dialer, &mut self.buffer, all, &mut self.answers)?;
            if let Some(ending) = wire.ending() {
                let why = format!("{} ({})", ending.reason, ending.code);
                return Err(self.ended(&why));
            }
        }
        Ok(())
    }

    fn ended(&self, why: &str) -> Failure {
        let before = self.answers.first_refusal.as_ref().map(|text| format!("; before that: {text}"));
        Failure::unavailable(format!(
            "a connection to {} that publishes ended: {why}{}",
            self.job.dialer.url(),
            before.unwrap_or_default()
        ))
    }

    fn write(&mut self) -> Result<(), Failure> {
        let done = self.wires.iter_mut().try_for_each(Wire::flush);
        done.map_err(|error| self.ended(&error.to_string()))
    }

    fn unanswered(&self) -> u64 {
        self.put.saturating_sub(self.answers.confirmed + self.answers.refused)
    }
}

impl Outlet for Gateway<'_> {
    fn put(&mut self, topic: u64, number: u64, body: &[u8]) {
        let (name, run) = (self.job.plan.topic(topic), self.job.run.name());
        let command = &mut self.command;
        command.clear();
        // Neither topics nor ids have characters that need escaping.
        let head =
            format!(r#"{{"type":"publish","topic":"{name}","messageId":"{run}-{topic}-{number}","payload":"#);
        command.extend_from_slice(head.as_bytes());
        command.extend_from_slice(body);
        command.push(b'}');
        let connection = usize::try_from(topic).unwrap_or(0) % self.wires.len().max(1);
        if let Some(wire) = self.wires.get_mut(connection) {
            wire.say(command);
            self.put += 1;
        }
    }

    fn send(&mut self) -> Result<(), Failure> {
        self.write()?;
        self.read(Duration::ZERO)?;
        let began = Instant::now();
        while self.wires.iter().any(|wire| wire.unsent() > MOST_UNSENT) {
            if began.elapsed() > PATIENCE {
                return Err(self.ended("the gateway takes nothing any more"));
            }
            self.read(STEP)?;
        }
        Ok(())
    }

    fn rest(&mut self, wait: Duration) -> Result<(), Failure> {
        self.read(wait)
    }

    fn finish(&mut self) -> Result<Unconfirmed, Failure> {
        let mut progress = Instant::now();
        let mut left = self.unanswered();
        while left > 0 && progress.elapsed() < LAST_ANSWERS {
            self.read(STEP)?;
            if self.unanswered() < left {
                progress = Instant::now();
                left = self.unanswered();
            }
        }
        self.wires.iter_mut().for_each(Wire::close);
        // Whether the gateway hears the farewell does not matter.
        let _ = self.write();
        let Answers { refused, first_refusal, .. } = &self.answers;
        Ok(Unconfirmed { refused: *refused, first_refusal: first_refusal.clone(), unanswered: left })
    }
}

fn cannot_wait(error: &std::io::Error) -> Failure {
    Failure::internal(format!("the system refuses what is needed to wait: {error}"))
}
