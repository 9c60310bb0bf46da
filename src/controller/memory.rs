//! What is remembered of a gateway from pass to pass, so that a pass that finds nothing new asks nobody anything.
//! Losing it costs requests, never correctness: the next pass applies everything anew, which changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{events::Publisher, kind::Kind, observed::Problem, pods::Asked, streams::Stream};

/// Of one gateway. Bounded by its children and pods.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// What the children were made from when the last pass went through.
    pub(crate) made_from: Option<Sources>,
    /// What was applied, by kind and name.
    pub(crate) applied: BTreeMap<(Kind, String), Applied>,
    /// Children that are there and that no pass has applied, since a reference is bad.
    pub(crate) held: usize,
    /// References that lead nowhere, as the last look at them found.
    pub(crate) references: Vec<Problem>,
    /// What kept children from being applied.
    pub(crate) applying: Vec<Problem>,
    /// What its pods have said.
    pub(crate) pods: Asked,
    /// Optional kinds it wants and the controller may not watch, where an Event has told that.
    pub(crate) forbidden: BTreeSet<Kind>,
    /// Its stream, where that is to be looked after.
    pub(crate) stream: Option<Stream>,
    /// Its Events.
    pub(crate) events: Publisher,
}

/// Everything that children are made from, by version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources {
    /// The gateway's uid.
    pub(crate) uid: String,
    /// Its generation.
    pub(crate) generation: i64,
    /// The Secrets it refers to with their versions; `None`: not there.
    pub(crate) secrets: BTreeMap<String, Option<u64>>,
    /// The optional kinds of the cluster.
    pub(crate) optional: BTreeSet<Kind>,
}

/// A child as it was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    /// A number that stands for what was applied.
    pub(crate) intent: u64,
    /// The fingerprint of its metadata afterwards; another one means that somebody has changed it.
    pub(crate) fingerprint: u64,
    /// Whether it is only made, and its changes are nobody's concern.
    pub(crate) once: bool,
}
