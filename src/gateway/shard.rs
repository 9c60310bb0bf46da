//! The data plane: one thread per core that owns its sockets outright.
//!
//! [`Inbox`] is the way in, [`Channels`] the way out; [`engine`] holds what a shard does, [`thread`] the poller
//! and the sockets around it.

pub mod engine;
mod inbox;
mod settings;
mod socket;
mod thread;

pub use inbox::{Arrival, ConnectionId, Greeting, Hello, Inbox, PublishAnswer, Request, ShardEvent};
pub use settings::Settings;
pub use socket::{ClientSocket, UNSENT};
pub use thread::{Channels, Running, Shard};
