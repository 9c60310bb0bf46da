//! The command line.

mod failure;

pub use failure::Failure;
