//! The command line.

mod client;
mod failure;
pub mod publish;
pub mod sub;

pub use failure::Failure;
