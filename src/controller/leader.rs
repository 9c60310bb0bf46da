//! One controller at a time: who holds the Lease works, the others wait.

pub(crate) mod decide;
