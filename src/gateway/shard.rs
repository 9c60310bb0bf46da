//! The data plane: one thread per core that owns its sockets outright.

mod inbox;

pub use inbox::{Arrival, ConnectionId, Hello, Inbox, PublishAnswer, Request, ShardEvent};
