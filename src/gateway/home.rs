//! Where a gateway's messages are handled: on one thread if it has one core, on many otherwise.
//!
//! A pod of one core has one shard. With a thread for it and others for the backbone every message would be handed from
//! one to the other by two system calls and a switch, on a core that can only do one thing at a time anyway. There both
//! live on one thread: measured, a message for a single subscriber costs a sixth less, and a busy topic, whose messages
//! gather less by themselves, some 8 % more. HTTP, TLS handshakes and tokens stay elsewhere, where a crowd of newcomers
//! holds nobody up.

use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::shard::Shard;

/// The runtime of the backbone, and of the shard that lives beside it, if one does.
#[derive(Debug)]
pub(super) struct Home {
    runtime: Handle,
    /// A thread of its own, until this is dropped.
    own: Option<DropGuard>,
}

impl Home {
    /// For so many cores. Must be called within a runtime, which is the home if there is more than one.
    pub(super) fn new(cores: usize) -> io::Result<Self> {
        if cores > 1 {
            return Ok(Self { runtime: Handle::current(), own: None });
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        thread::Builder::new().name("shard-0".into()).spawn(move || {
            runtime.block_on(ended.cancelled());
            // A name that is being looked up for a server of NATS is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, own: Some(end.drop_guard()) })
    }

    /// Where the backbone is to run.
    pub(super) fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// A shard that will run where it costs least.
    pub(super) fn shard(&self, index: usize) -> io::Result<Shard> {
        match self.own {
            Some(_) => Shard::beside(index, &self.runtime),
            None => Shard::new(index),
        }
    }
}
