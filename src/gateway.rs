//! One gateway pod: puts the parts below together.

pub mod access;
pub mod backbone;
pub mod drain;
pub mod limits;
pub mod log;
pub mod protocol;
pub mod shard;
pub mod websocket;
