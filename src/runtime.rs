//! What controller and gateway have in common as processes: signals, telemetry, readiness, the admin server; and with the
//! command line: when there are colours.

pub mod admin;
pub mod colours;
pub mod open_files;
mod readiness;
pub mod signals;
pub mod telemetry;

pub use readiness::{Condition, Readiness};
