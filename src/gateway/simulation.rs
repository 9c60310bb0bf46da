//! Many gateways, clients and publishers around one lossy bus, all in one thread and in the order that a seed says.
//!
//! ```text
//!   clients ──► wires: any bytes at a time ──► engines ◄──► services ◄──► links ──► server with one stream
//!      │  ▲                                                                  ▲          │
//!      │  └── slow, cut, resumed elsewhere            lossy, late, cut off ──┴──────────┘
//!      ▼
//!   history ──► checker
//! ```
//!
//! Engines, services, publisher, sessions, access, and what keeps a stream's messages in order are the real ones; what
//! is made up is the network, the server and the clients. Time is the run's own: nothing sleeps. One seed is one
//! schedule, whatever the machine.
//!
//! A run ends with everything healed. Then the checker of the real fault tests judges what every client saw, and after
//! everybody has left nothing may be left of them.
//!
//! The short series is part of the unit tests; the long one is `tests/run simulate [SEEDS] [FIRST_SEED]`.

#[path = "../../tests/support/checker/checker.rs"]
#[allow(dead_code, unused_imports, reason = "scenarios and the simulator need a part each")]
#[allow(clippy::needless_pass_by_value, reason = "a violation reads best where it is given away")]
mod checker;
mod client;
mod commands;
mod dice;
mod ending;
mod faults;
mod gateway;
mod resource;
mod tests;
mod wire;
mod world;

use std::sync::Arc;

use self::{
    checker::{History, check},
    world::World,
};
use super::access::Access;

/// Something that changes the course of a run happens so many times at most.
const ACTS: usize = 70;

/// What a run came to.
struct Outcome {
    history: History,
    /// What is wrong.
    wrong: Option<String>,
}

/// Makes runs, one after the other. Each is the same wherever it comes in a series.
struct Simulator {
    /// The rules at the beginning of every run.
    access: Arc<Access>,
}

impl Simulator {
    fn new() -> Self {
        Self { access: Arc::new(resource::access(true)) }
    }

    /// The run of a seed.
    fn run(&self, seed: u64) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (history, trouble) = runtime.unwrap().block_on(self.play(seed));
        let report = check(&history);
        let wrong = match trouble {
            None if report.violations.is_empty() => None,
            None => Some(report.to_string()),
            Some(trouble) => Some(format!("{trouble}\n{report}")),
        };
        Outcome { history, wrong }
    }

    async fn play(&self, seed: u64) -> (History, Option<String>) {
        let mut world = World::new(seed, self.access.clone());
        world.pass(1).await;
        for _ in 0..world.dice.within(10, ACTS) {
            world.act().await;
            for _ in 0..world.dice.below(24) {
                world.step();
            }
            tokio::task::yield_now().await;
        }
        let mut ended = world.heal().await;
        for client in &mut world.clients {
            ended = ended.and(client.trouble.take().map_or(Ok(()), Err));
        }
        let ended = ended.and(world.leave().await);
        (world.finish(), ended.err())
    }
}
