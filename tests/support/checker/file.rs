//! A history as JSON lines, so that a run that failed can be studied and judged again.

use std::{
    io::{self, BufRead, Write},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::history::{Content, History, Limits, Mark, Nanos, Publish, Record, Track, What};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Limits(Limits),
    Content(Content),
    Publish(Publish),
    Mark(Nanos, Mark),
    /// The records up to the next client are this one's.
    Client {
        client: String,
        user: String,
    },
    At(Nanos, What),
    End(Nanos),
}

impl History {
    /// Writes all of it.
    pub(crate) fn write(&self, mut out: impl Write) -> io::Result<()> {
        let mut put = |line: &Line| -> io::Result<()> {
            serde_json::to_writer(&mut out, line)?;
            out.write_all(b"\n")
        };
        put(&Line::Limits(self.limits.clone()))?;
        for content in &self.contents {
            put(&Line::Content(Content::clone(content)))?;
        }
        for publish in &self.publishes {
            put(&Line::Publish(publish.clone()))?;
        }
        for (at, mark) in &self.marks {
            put(&Line::Mark(*at, mark.clone()))?;
        }
        for track in &self.tracks {
            put(&Line::Client { client: track.client.clone(), user: track.user.clone() })?;
            for record in &track.records {
                put(&Line::At(record.at, record.what.clone()))?;
            }
        }
        put(&Line::End(self.end))
    }

    /// Reads what [`History::write`] has written.
    pub(crate) fn read(source: impl BufRead) -> io::Result<Self> {
        let mut history = Self::default();
        for line in source.lines() {
            match serde_json::from_str(&line?)? {
                Line::Limits(limits) => history.limits = limits,
                Line::Content(content) => history.contents.push(Arc::new(content)),
                Line::Publish(publish) => history.publishes.push(publish),
                Line::Mark(at, mark) => history.marks.push((at, mark)),
                Line::Client { client, user } => {
                    history.tracks.push(Track { client, user, records: Vec::new() });
                }
                Line::At(at, what) => {
                    let track = history.tracks.last_mut();
                    let track = track.ok_or_else(|| io::Error::other("a record before the first client"))?;
                    track.records.push(Record { at, what });
                }
                Line::End(end) => history.end = end,
            }
        }
        Ok(history)
    }
}
