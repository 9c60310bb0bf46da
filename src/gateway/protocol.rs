//! The client protocol, version 1: frames as types and what one connection may do. Pure: no I/O, no clock.

pub mod body;
pub mod command;
pub mod event;
pub mod rate;
pub mod session;

mod code;
mod json;

pub use code::{ErrorCode, GapReason};

pub use super::websocket::CloseCode;
