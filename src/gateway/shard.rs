//! The data plane: one thread per core that owns its sockets outright.
//!
//! [`Inbox`] is the way in, [`Channels`] the way out; [`engine`] holds what a shard does, [`rounds`] the poller
//! and the sockets around it, [`thread`] where it runs.

pub mod engine;
mod inbox;
mod rounds;
mod settings;
mod socket;
mod thread;

pub use inbox::{Arrival, ConnectionId, Greeting, Hello, Inbox, PublishAnswer, Request, ShardEvent};
pub use settings::Settings;
pub use socket::{ClientSocket, SEND_BUFFER, UNSENT};
pub use thread::{Channels, Running, Shard};
