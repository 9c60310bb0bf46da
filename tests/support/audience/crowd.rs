//! All clients of a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use super::{
    acknowledging::Habit,
    balancer::Balancer,
    follower::Follower,
    following::{Following, means},
    laps::Laps,
    member::Member,
    participant::{Order, Participant},
    resource::token,
    tally::Tally,
    wire::Clock,
};
use crate::checker::Recorder;

/// One of so many clients asks for what it was too slow for.
const CURIOUS: usize = 3;

/// What a client is to follow, and how.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Topics and patterns.
    pub(crate) filters: Vec<String>,
    /// Over Server-Sent Events.
    pub(crate) events: bool,
}

/// The clients, by number.
pub(crate) struct Crowd {
    members: Vec<Handles>,
    /// What they met.
    pub(crate) tally: Tally,
}

struct Handles {
    filters: Vec<String>,
    following: Arc<Mutex<Following>>,
    orders: UnboundedSender<Order>,
    task: JoinHandle<()>,
}

impl Crowd {
    /// Lets clients in who play these parts.
    pub(crate) fn join(
        runtime: &Handle,
        balancer: &Balancer,
        clock: Clock,
        recorder: &Recorder,
        parts: Vec<Part>,
        laps: Option<&Arc<Laps>>,
    ) -> Self {
        let tally = Tally::default();
        let member = |(number, Part { filters, events }): (usize, Part)| {
            let name = format!("client-{number:04}");
            let rights: Vec<_> = filters.iter().map(String::as_str).collect();
            let curious = number.is_multiple_of(CURIOUS);
            let following = Following::new(filters.clone(), curious, Habit::of(number));
            let following = Arc::new(Mutex::new(following));
            let (orders, received) = unbounded_channel();
            let own = Participant {
                number,
                token: token(&name),
                balancer: balancer.clone(),
                clock,
                log: Some(recorder.client(&name, &name, &rights)),
                following: following.clone(),
                orders: received,
                tally: tally.clone(),
                leaving: false,
            };
            let task = if events {
                runtime.spawn(Follower::new(own, &filters).run())
            } else {
                runtime.spawn(Member { own, laps: laps.cloned() }.run())
            };
            Handles { filters, following, orders, task }
        };
        Self { members: parts.into_iter().enumerate().map(member).collect(), tally }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The clients that follow a topic.
    pub(crate) fn on(&self, topic: &str) -> Vec<usize> {
        let holds = |number: &usize| self.members[*number].filters.iter().any(|own| means(own, topic));
        (0..self.members.len()).filter(holds).collect()
    }

    /// How many clients follow a topic by its name, and so have a position on it.
    pub(crate) fn naming(&self, topic: &str) -> usize {
        self.members.iter().filter(|handles| handles.filters.iter().any(|own| own == topic)).count()
    }

    /// Tells one client what to do.
    pub(crate) fn order(&self, number: usize, order: Order) {
        // One that has left does not hear it.
        let _ = self.members[number].orders.send(order);
    }

    /// Waits until everybody holds its topics, up to these positions; gives those who do not in time.
    pub(crate) fn wait_until_at(&self, heads: &BTreeMap<String, u64>, within: Duration) -> Vec<String> {
        let end = Instant::now() + within;
        loop {
            let late = |handles: &&Handles| {
                !handles.following.lock().unwrap_or_else(PoisonError::into_inner).has(heads)
            };
            let late: Vec<_> = self.members.iter().filter(late).collect();
            if late.is_empty() || Instant::now() > end {
                let told = |handles: &Handles| format!("{:?}", handles.following.lock());
                return late.into_iter().map(told).collect();
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The history is over: what happens from now on is not judged.
    pub(crate) fn judge(&self) {
        for number in 0..self.len() {
            self.order(number, Order::Judge);
        }
    }

    /// Everybody says goodbye; returns when all have gone.
    pub(crate) fn leave(self, runtime: &Handle) {
        for number in 0..self.len() {
            self.order(number, Order::Leave);
        }
        for handles in self.members {
            runtime.block_on(handles.task).expect("a client that ran to its end");
        }
    }
}
