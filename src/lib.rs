//! A Kubernetes operator and a WebSocket gateway: topics from NATS, each message to exactly the subscribers of its topic.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod cli;
pub mod gateway;
pub mod runtime;
