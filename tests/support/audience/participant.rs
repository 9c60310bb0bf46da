//! What every client is made of, whichever way it gets its messages.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{balancer::Balancer, following::Following, tally::Tally, wire::Clock};
use crate::checker::ClientLog;

/// What a client is told to suffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Its connection is cut; the gateway notices later.
    Cut(Duration),
    /// It does not read for a while.
    Stall(Duration),
    /// The history is over: nothing is written down any more.
    Judge,
    /// It says goodbye.
    Leave,
}

/// A client, but for its connections.
pub(crate) struct Participant {
    pub(crate) number: usize,
    pub(crate) token: String,
    pub(crate) balancer: Balancer,
    pub(crate) clock: Clock,
    pub(crate) log: Option<ClientLog>,
    pub(crate) following: Arc<Mutex<Following>>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) tally: Tally,
    /// It says goodbye, or has done so.
    pub(crate) leaving: bool,
}

impl Participant {
    /// Writes something down, with the time.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut ClientLog, u64)) {
        let now = self.clock.now();
        if let Some(log) = &mut self.log {
            write(log, now);
        }
    }

    /// Looks at what it has, or changes it.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Following) -> T) -> T {
        change(&mut self.following.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Obeys orders for one that is not connected.
    pub(crate) fn wait_for_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Judge => self.log = None,
                Order::Leave => self.leaving = true,
                Order::Cut(_) | Order::Stall(_) => {}
            }
        }
    }

    /// Does not read for so long.
    pub(crate) async fn stall(&mut self, time: Duration) {
        self.note(|log, now| log.stalled(now, true));
        tokio::time::sleep(time).await;
        self.note(|log, now| log.stalled(now, false));
    }

    /// A moment before it connects again.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..300))).await;
    }
}
