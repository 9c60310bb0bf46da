//! One gateway pod. [`pod`] puts the parts below together.

pub mod access;
pub mod backbone;
pub mod certificate;
pub mod config;
mod der;
pub mod drain;
pub mod examine;
pub mod history;
mod home;
pub mod http;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod parts;
mod planted;
pub mod pod;
pub mod protocol;
pub mod publisher;
pub mod reload;
pub mod services;
pub mod sessions;
pub mod shard;
#[cfg(test)]
mod simulation;
pub mod topics;
pub mod websocket;
