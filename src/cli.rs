//! The command line.

mod failure;
pub mod token;

pub use failure::Failure;
