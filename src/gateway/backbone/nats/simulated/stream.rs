//! A server with one stream, as far as a gateway sees it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::api::Seq;

/// How the stream is made. It stays so for a whole run.
#[derive(Debug, Clone)]
pub(crate) struct Traits {
    /// What is stored is published again.
    pub(crate) republish: bool,
    /// Direct Get is allowed.
    pub(crate) direct: bool,
    /// More than one: Direct Get may be answered by a copy that lags behind.
    pub(crate) replicas: usize,
    /// Messages that one answer holds at most.
    pub(crate) batch: usize,
    /// Messages that the stream holds at most.
    pub(crate) messages: usize,
    /// Messages of one topic; 0: no such bound.
    pub(crate) per_subject: usize,
}

/// A message in the stream.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) subject: String,
    pub(crate) id: Option<String>,
    pub(crate) body: Bytes,
}

/// A message that has just been stored.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) entry: Entry,
    pub(crate) seq: Seq,
    /// Number of the one before it on its subject, as far as the stream has it.
    pub(crate) prev: Seq,
}

/// What became of a publish.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    Fresh(Fresh),
    Duplicate(Seq),
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) traits: Traits,
    pub(crate) stream: Option<Stream>,
    lives: u32,
}

/// The stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) life: u32,
    pub(crate) last: Seq,
    pub(crate) messages: BTreeMap<Seq, Entry>,
    by_unique_id: HashMap<String, Seq>,
}

impl Server {
    pub(crate) fn new(traits: Traits) -> Self {
        let mut server = Self { traits, stream: None, lives: 0 };
        server.make();
        server
    }

    /// Makes the stream, if there is none.
    pub(crate) fn make(&mut self) {
        if self.stream.is_none() {
            self.lives += 1;
            self.stream = Some(Stream {
                life: self.lives,
                last: 0,
                messages: BTreeMap::new(),
                by_unique_id: HashMap::new(),
            });
        }
    }

    /// Stores a message; nothing where there is no stream.
    pub(crate) fn store(&mut self, entry: Entry, unique_id: Option<&str>) -> Option<Stored> {
        let (most, per_subject) = (self.traits.messages, self.traits.per_subject);
        let stream = self.stream.as_mut()?;
        if let Some(seq) = unique_id.and_then(|id| stream.by_unique_id.get(id)) {
            return Some(Stored::Duplicate(*seq));
        }
        let prev = stream.newest(&entry.subject, Seq::MAX);
        stream.last += 1;
        let seq = stream.last;
        if let Some(id) = unique_id {
            stream.by_unique_id.insert(id.into(), seq);
        }
        stream.messages.insert(seq, entry.clone());
        while stream.messages.len() > most {
            stream.messages.pop_first();
        }
        if per_subject > 0 {
            let own: Vec<_> = stream.of(&entry.subject, 0).map(|(seq, _)| seq).collect();
            for seq in own.iter().take(own.len().saturating_sub(per_subject)) {
                stream.messages.remove(seq);
            }
        }
        Some(Stored::Fresh(Fresh { entry, seq, prev }))
    }

    /// Takes all but the newest so many messages out.
    pub(crate) fn purge(&mut self, keep: usize) {
        if let Some(stream) = &mut self.stream {
            while stream.messages.len() > keep {
                stream.messages.pop_first();
            }
        }
    }
}

impl Stream {
    /// First number that it holds, or would hold.
    pub(crate) fn first(&self) -> Seq {
        self.messages.first_key_value().map_or(self.last + 1, |(seq, _)| *seq)
    }

    /// Messages of a subject from this number on.
    pub(crate) fn of<'a>(&'a self, subject: &'a str, from: Seq) -> impl Iterator<Item = (Seq, &'a Entry)> {
        let own = self.messages.range(from..).filter(move |(_, entry)| entry.subject == subject);
        own.map(|(seq, entry)| (*seq, entry))
    }

    /// Number of the newest message of a subject up to this number; 0: none.
    pub(crate) fn newest(&self, subject: &str, up_to: Seq) -> Seq {
        let mut before = self.messages.range(..=up_to).rev();
        before.find(|(_, entry)| entry.subject == subject).map_or(0, |(seq, _)| *seq)
    }
}
