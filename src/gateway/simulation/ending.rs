//! The end of a run: everything heals, everybody catches up and is judged; then everybody leaves.

use super::{gateway::Gateway, world::World};

/// Rounds in which everything that can move moves; a run that is not quiet by then never is.
const ROUNDS: usize = 3_000;

impl World {
    /// Heals, waits for whatever was lost to be found, and for what was not acknowledged to come again.
    pub(super) async fn heal(&mut self) -> Result<(), String> {
        self.make_stream();
        self.change_rights(true);
        for client in &mut self.clients {
            client.pace = 1_000_000;
        }
        for second in 0..6 {
            self.replace_gone();
            self.gateways.iter_mut().for_each(|gateway| gateway.link.connect());
            self.pass(if second == 5 { 3_000 } else { 1_000 }).await;
            self.settle().await?;
        }
        self.publish_everywhere();
        for _ in 0..6 {
            self.settle().await?;
            self.pass(5_000).await;
        }
        self.settle().await
    }

    /// Everybody leaves; that is no part of the history.
    pub(super) async fn leave(&mut self) -> Result<(), String> {
        for client in 0..self.clients.len() {
            if let Some((at, shard, slot)) = self.place(client) {
                self.gateways[at].shards[shard].engine.ended(slot);
            }
            self.clients[client].connection = None;
        }
        self.settle().await?;
        let left: Vec<_> = self.gateways.iter().flat_map(Gateway::leftovers).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
    }

    /// Goes on until nothing moves any more.
    pub(super) async fn settle(&mut self) -> Result<(), String> {
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            for client in 0..self.clients.len() {
                self.read_some(client, 1_000_000);
                self.upload(client, usize::MAX);
            }
            quiet = if self.round() { 0 } else { quiet + 1 };
            if quiet == 2 {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err("what was to come to rest does not".into())
    }

    /// Everything moves once; `false` if there was nothing to move.
    fn round(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.gateways.len() {
            self.gateways[at].link.take_in();
            while self.gateways[at].link.is_busy() {
                moved = true;
                self.serve(at);
                let link = &mut self.gateways[at].link;
                link.arrive(false, false);
                link.process(self.dice.below(60), 8);
            }
            for shard in &mut self.gateways[at].shards {
                moved |= !shard.is_idle();
                shard.handle(usize::MAX);
                moved |= shard.turn(64);
            }
        }
        let sending = |client: &super::client::Client| {
            client.connection.as_ref().is_some_and(|connection| !connection.up.is_empty())
        };
        moved || self.clients.iter().any(sending)
    }
}
