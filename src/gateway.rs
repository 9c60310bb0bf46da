//! One gateway pod: puts the parts below together.

pub mod access;
pub mod backbone;
pub mod limits;
pub mod publisher;
pub mod services;
pub mod shard;
