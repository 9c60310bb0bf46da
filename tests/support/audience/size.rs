//! How large a run is.

use std::{env, time::Duration};

/// Its length, who is in it, and what they do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) length: Duration,
    /// What is left to chance is the same with the same seed.
    pub(crate) seed: u64,
    pub(crate) clients: usize,
    pub(crate) topics: usize,
    /// Messages a second, of all publishers together.
    pub(crate) rate: f64,
    /// Publishers of each kind.
    pub(crate) writers: u32,
    /// Bytes of a large message.
    pub(crate) large: usize,
}

impl Size {
    /// As `TOPIC_GATEWAY_FAULTS` asks for it (`SECONDS SEED CLIENTS RATE`, all but the first may be left out), else
    /// this one.
    pub(crate) fn of_environment(otherwise: Self) -> Self {
        let wanted = env::var("TOPIC_GATEWAY_FAULTS").unwrap_or_default();
        let mut words =
            wanted.split_whitespace().map(|word| word.parse().expect("SECONDS SEED CLIENTS RATE"));
        let Some(seconds) = words.next() else { return otherwise };
        let seed = words.next().unwrap_or_else(|| rand::random_range(0..1_000_000));
        let clients = words.next().map_or(500, |clients| usize::try_from(clients).unwrap());
        let size = Self::new(seconds, seed, clients);
        let rate = words.next().map_or(size.rate, |rate| f64::from(u32::try_from(rate).unwrap()));
        Self { rate, ..size }
    }

    /// Of so many clients, with as much work as they can bear.
    pub(crate) fn new(seconds: u64, seed: u64, clients: usize) -> Self {
        let few = clients < 200;
        Self {
            length: Duration::from_secs(seconds),
            seed,
            clients,
            topics: if few { 5 } else { 20 },
            rate: if few { 200.0 } else { 2_000.0 },
            writers: if few { 1 } else { 4 },
            // So much that a window does not hold what comes while somebody does not read.
            large: if few { 24 * 1024 } else { 8 * 1024 },
        }
    }

    /// Whether it is so short that faults must come often for each to have its turn.
    pub(crate) fn is_short(self) -> bool {
        self.length < Duration::from_mins(1)
    }
}
