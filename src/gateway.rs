//! One gateway pod: puts the parts below together.

pub mod access;
pub mod backbone;
pub mod drain;
pub mod http;
pub mod limits;
pub mod protocol;
pub mod shard;
pub mod websocket;
