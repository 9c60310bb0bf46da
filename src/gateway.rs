//! One gateway pod: puts the parts below together.

pub mod access;
pub mod backbone;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod shard;
pub mod topics;
