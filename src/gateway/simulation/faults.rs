//! What goes wrong.

use std::{sync::Arc, time::Duration};

use super::{
    checker::Mark,
    resource::{self, TOPICS},
    world::World,
};

/// Kinds of faults, the more likely ones counted several times.
pub(super) const FAULTS: usize = 20;

impl World {
    /// Something that changes the course of the run.
    pub(super) async fn act(&mut self) {
        match self.dice.below(100) {
            0..38 => {
                let (some, one) = (self.dice.within(1, self.burst), self.dice.percent(30));
                let topic = *self.dice.one_of(&TOPICS);
                for _ in 0..some {
                    let other = *self.dice.one_of(&TOPICS);
                    self.publish(if one { topic } else { other });
                }
            }
            38..75 => {
                let client = self.dice.below(self.clients.len());
                if self.clients[client].connection.is_some() {
                    let at = self.clock();
                    super::commands::any(&mut self.clients[client], at, &mut self.published, &mut self.dice);
                }
            }
            75..89 => {
                let ms = self.dice.within(1, 400) as u64;
                self.pass(ms).await;
            }
            89..92 => {
                let ms = self.dice.within(400, 3_000) as u64;
                self.pass(ms).await;
            }
            _ => self.fail(),
        }
    }

    fn fail(&mut self) {
        let at = self.dice.below(self.gateways.len());
        let any = self.dice.below(FAULTS);
        // Some runs are about one thing.
        let fault = if self.favourite < FAULTS && self.dice.percent(60) { self.favourite } else { any };
        match fault {
            0..3 => self.gateways[at].link.cut(),
            3..7 => self.gateways[at].link.connect(),
            7..10 => {
                let client = self.dice.below(self.clients.len());
                self.cut(client);
            }
            10 => self.kill(at),
            11 => self.drain(at),
            12 => {
                let keep = self.dice.below(20);
                self.server.purge(keep);
            }
            13 if self.dice.percent(50) => self.lose_stream(),
            14..16 => self.make_stream(),
            16 => self.change_rights(!self.granted),
            17 => {
                self.jumped += [-3_600_000, 3_600_000][self.dice.below(2)];
            }
            _ => self.replace_gone(),
        }
    }

    /// A gateway is there no more, and so are its connections.
    fn kill(&mut self, at: usize) {
        let (clock, name) = (self.clock(), self.gateways[at].name.clone());
        self.recorder.mark(clock, Mark::GatewayKilled(name.clone()));
        self.gateways.remove(at);
        self.start_gateway();
    }

    fn drain(&mut self, at: usize) {
        if !self.gateways[at].draining {
            let window = Duration::from_millis(self.dice.within(1, 4_000) as u64);
            let gateway = &mut self.gateways[at];
            gateway.drain(window, &mut self.dice);
            self.start_gateway();
        }
    }

    /// Gateways that have drained end.
    pub(super) fn replace_gone(&mut self) {
        self.gateways.retain(|gateway| !gateway.is_drained());
        if self.gateways.is_empty() {
            self.start_gateway();
        }
    }

    fn lose_stream(&mut self) {
        // Subscribers of a pattern are told that something is lost, but not that the numbers of its topics begin again.
        // Of a publish that is under way nobody could say which of the two streams has stored it.
        if self.clients.iter().any(|client| !client.unconfirmed.is_empty() || client.patterns) {
            return;
        }
        self.clients.iter_mut().for_each(|client| client.again.clear());
        if self.server.stream.take().is_some() {
            let clock = self.clock();
            self.recorder.mark(clock, Mark::StreamReset);
        }
    }

    pub(super) fn make_stream(&mut self) {
        self.server.make();
    }

    /// The right that comes and goes does so, for everybody and everywhere at once.
    pub(super) fn change_rights(&mut self, granted: bool) {
        if self.granted == granted {
            return;
        }
        self.granted = granted;
        self.access = Arc::new(resource::access(granted).after(&self.access));
        // What was said while the right was there has arrived, and nobody has half a frame of what it may not have any more.
        let shards = self.gateways.iter_mut().flat_map(|gateway| &mut gateway.shards);
        shards.for_each(|shard| while shard.turn(64) {});
        for client in 0..self.clients.len() {
            self.read_some(client, 1_000_000);
        }
        if granted {
            self.note_rights(granted);
        }
        for gateway in &mut self.gateways {
            gateway.rule(&self.access);
        }
        if !granted {
            self.note_rights(granted);
        }
    }

    fn note_rights(&mut self, granted: bool) {
        let clock = self.clock();
        self.clients.iter_mut().for_each(|client| client.right(clock, granted));
    }
}
