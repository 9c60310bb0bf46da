//! What is published: topics, pace, and how large messages are.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What all publishers know.
#[derive(Debug)]
pub(crate) struct Work {
    topics: Vec<String>,
    over: AtomicBool,
    /// Topics whose messages are large for now.
    large: Mutex<BTreeMap<String, Instant>>,
    padding: String,
    /// The newest number of each topic, as far as publishers were told.
    heads: Mutex<BTreeMap<String, u64>>,
}

impl Work {
    /// Publishes to these topics in turn; a large message has so many bytes more than others.
    pub(crate) fn new(topics: Vec<String>, large: usize) -> Self {
        let padding = "x".repeat(large);
        Self {
            topics,
            over: AtomicBool::new(false),
            large: Mutex::default(),
            padding,
            heads: Mutex::default(),
        }
    }

    /// Nothing new is published from now on.
    pub(crate) fn finish(&self) {
        self.over.store(true, Relaxed);
    }

    /// Whether nothing new is to be published.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// A message was confirmed.
    pub(crate) fn stored(&self, topic: &str, seq: u64) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let head = heads.entry(topic.to_owned()).or_default();
        *head = seq.max(*head);
    }

    /// What is known to be stored.
    pub(crate) fn heads(&self) -> BTreeMap<String, u64> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Messages of this topic are large for a while.
    pub(crate) fn enlarge(&self, topic: &str, time: Duration) {
        let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        large.insert(topic.to_owned(), Instant::now() + time);
    }

    /// What fills a message of this topic.
    pub(crate) fn padding(&self, topic: &str) -> &str {
        let large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        let is_large = large.get(topic).is_some_and(|end| Instant::now() < *end);
        if is_large { &self.padding } else { "" }
    }
}

/// An even pace: what could not be published while nobody was there is left out.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: f64,
    looked: Instant,
    owed: f64,
    number: u64,
    /// Where in the topics it begins.
    first: usize,
}

impl Pace {
    /// So many messages a second.
    pub(crate) fn new(per_second: f64, first: usize) -> Self {
        Self { per_second, looked: Instant::now(), owed: 0.0, number: 0, first }
    }

    /// How many messages are due since it was asked last; at most a tenth of a second's.
    pub(crate) fn due(&mut self) -> usize {
        let now = Instant::now();
        let passed = now.duration_since(self.looked).as_secs_f64();
        self.looked = now;
        self.owed += passed.min(0.1) * self.per_second;
        let mut due = 0;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            due += 1;
        }
        due
    }

    /// The next message's number and topic.
    pub(crate) fn next(&mut self, work: &Work) -> (u64, String) {
        self.number += 1;
        let place = self.first + usize::try_from(self.number).expect("a number that can be counted to");
        (self.number, work.topics[place % work.topics.len()].clone())
    }
}
