//! What controller and gateway have in common as processes: signals, telemetry, readiness, the admin server.

pub mod admin;
pub mod open_files;
mod readiness;
pub mod signals;
pub mod telemetry;

pub use readiness::{Condition, Readiness};
