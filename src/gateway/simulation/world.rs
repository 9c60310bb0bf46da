//! Everything of one run, and the small steps it is made of.

use std::{sync::Arc, time::Duration};

use super::{
    checker::{Body, History, Limits, Outcome, Publish, Recorder},
    client::Client,
    commands,
    dice::Dice,
    faults::FAULTS,
    gateway::Gateway,
    resource::{ACK_SECONDS, AT_LEAST_ONCE, BEGIN, GRANTED, Resource, SOMETIMES, TOPICS},
    wire::Wire,
};
use crate::gateway::{
    access::Access,
    backbone::nats::simulated::{Entry, Fresh, PREFIX, Server, Stored, Traits},
};

const SECOND: u64 = 1_000_000_000;

pub(super) struct World {
    pub(super) dice: Dice,
    /// Milliseconds since the run began.
    pub(super) now: u64,
    /// Milliseconds by which the wall clock has jumped.
    pub(super) jumped: i64,
    /// Counts what happens within one millisecond.
    instants: u64,
    pub(super) recorder: Recorder,
    pub(super) server: Server,
    pub(super) resource: Resource,
    pub(super) access: Arc<Access>,
    /// The right that comes and goes is there.
    pub(super) granted: bool,
    pub(super) gateways: Vec<Gateway>,
    pub(super) clients: Vec<Client>,
    /// Numbers the messages.
    pub(super) published: u64,
    /// Numbers the gateways.
    pub(super) started: u64,
    /// What goes wrong most often in this run.
    pub(super) favourite: usize,
    /// How many messages are published at a time, at most.
    pub(super) burst: usize,
}

impl World {
    pub(super) fn new(seed: u64, access: Arc<Access>) -> Self {
        let mut dice = Dice::new(seed);
        let resource = Resource::new(&mut dice);
        let traits = Traits {
            republish: dice.percent(80),
            direct: dice.percent(90),
            replicas: if dice.percent(80) { 1 } else { 3 },
            batch: *dice.one_of(&[2, 5, 1_000]),
            messages: *dice.one_of(&[8, 30, 1_000]),
            per_subject: if dice.percent(90) { 0 } else { 5 },
        };
        let limits = Limits {
            settle: 15 * SECOND,
            rights: 0,
            grace: 8 * SECOND,
            answer: 25 * SECOND,
            ack_timeout: ACK_SECONDS * SECOND,
            ack_tolerance: 15 * SECOND,
            at_least_once: vec![AT_LEAST_ONCE.into()],
            ..Limits::default()
        };
        let (favourite, burst) = (dice.below(2 * FAULTS), *dice.one_of(&[4, 4, 40]));
        let mut world = Self {
            favourite,
            burst,
            now: 0,
            jumped: 0,
            instants: 0,
            recorder: Recorder::new(limits),
            server: Server::new(traits),
            resource,
            access,
            granted: true,
            gateways: Vec::new(),
            clients: Vec::new(),
            published: 0,
            started: 0,
            dice,
        };
        for _ in 0..world.dice.within(1, 4) {
            world.start_gateway();
        }
        let patterns = world.dice.percent(50);
        for n in 0..world.dice.within(2, 6) {
            let rights: Vec<_> = GRANTED.into_iter().chain([SOMETIMES]).collect();
            // Two of them are the same user.
            let (name, user) = (format!("client-{n}"), format!("user-{}", n.max(1)));
            let log = world.recorder.client(&name, &user, &rights);
            let mut client = Client::new(&user, log, patterns);
            client.pace = *world.dice.one_of(&[40, 300, 2_000, 1_000_000]);
            world.clients.push(client);
        }
        world
    }

    /// The checker's clock: no two events have the same time.
    pub(super) fn clock(&mut self) -> u64 {
        self.instants += 1;
        self.now * 1_000_000 + self.instants
    }

    pub(super) fn unix(&self) -> u64 {
        (BEGIN * 1000 + self.now).saturating_add_signed(self.jumped) / 1000
    }

    pub(super) fn start_gateway(&mut self) {
        self.started += 1;
        let (name, shards) = (format!("gateway-{}", self.started), 1 + usize::from(self.dice.percent(20)));
        let mut gateway = Gateway::new(name, shards, &self.resource, self.access.clone(), self.now);
        gateway.at(self.now, self.unix());
        gateway.link.connect();
        self.gateways.push(gateway);
    }

    // --- Small steps ---------------------------------------------------------------------------------------------

    /// One of the many things that may happen next.
    pub(super) fn step(&mut self) {
        let client = self.dice.below(self.clients.len());
        let at = self.dice.below(self.gateways.len());
        match self.dice.below(16) {
            0 | 1 => self.gateways[at].link.take_in(),
            2 | 3 => self.serve(at),
            4 | 5 => {
                let lose = self.dice.percent(3);
                let silently = self.dice.percent(40);
                self.gateways[at].link.arrive(lose, silently);
            }
            6 | 7 => {
                let (pick, count) = (self.dice.below(60), self.dice.within(1, 5));
                self.gateways[at].link.process(pick, count);
            }
            8 | 9 => {
                let shards = self.gateways[at].shards.len();
                let (shard, count) = (self.dice.below(shards), self.dice.within(1, 4));
                self.gateways[at].shards[shard].handle(count);
            }
            10 | 11 => {
                let shards = self.gateways[at].shards.len();
                let (shard, writes) = (self.dice.below(shards), self.dice.within(1, 4));
                self.gateways[at].shards[shard].turn(writes);
            }
            12..=14 => self.read(client),
            _ => {
                let bytes = *self.dice.one_of(&[1, 9, 80, 1_000, 10_000]);
                self.upload(client, bytes);
            }
        }
    }

    /// The server of one link goes on.
    pub(super) fn serve(&mut self, at: usize) {
        let (pick, behind) = (self.dice.below(60), self.dice.below(4) as u64);
        let fresh = self.gateways[at].link.serve(&mut self.server, pick, behind);
        self.pass_on(fresh.as_ref());
    }

    /// What was stored goes to every gateway.
    fn pass_on(&mut self, fresh: Option<&Fresh>) {
        let republish = self.server.traits.republish;
        for gateway in &mut self.gateways {
            if let Some(fresh) = fresh {
                gateway.link.published(fresh, republish);
            }
        }
    }

    /// Somebody publishes straight to the stream.
    pub(super) fn publish(&mut self, topic: &str) {
        self.published += 1;
        let number = self.published;
        let (id, text) = match self.dice.below(8) {
            0 => (None, format!("not JSON, number {number}")),
            1 => {
                let id = format!("s{number}");
                (Some(id.clone()), format!(r#"{{"messageId":"{id}"}}"#))
            }
            _ => (None, commands::payload(number, &mut self.dice)),
        };
        let began = self.clock();
        let entry = Entry { subject: format!("{PREFIX}.{topic}"), id: None, body: text.clone().into() };
        let outcome = match self.server.store(entry, None) {
            Some(Stored::Fresh(fresh)) => {
                self.pass_on(Some(&fresh));
                Outcome::Ok(Some(fresh.seq))
            }
            _ => return,
        };
        let (who, topic, ended) = ("straight".into(), topic.into(), self.clock());
        self.recorder.publish(Publish {
            who,
            user: None,
            topic,
            id,
            body: Body::Text(text),
            began,
            ended,
            outcome,
        });
    }

    // --- Clients -------------------------------------------------------------------------------------------------

    /// Where the client's connection is: gateway, shard, slot; none where the gateway's end is gone.
    pub(super) fn place(&self, client: usize) -> Option<(usize, usize, usize)> {
        let connection = self.clients[client].connection.as_ref()?;
        let at = self.gateways.iter().position(|gateway| gateway.name == connection.gateway)?;
        (!connection.wire.is_dropped()).then_some((at, connection.shard, connection.slot))
    }

    /// The client connects, if it is time.
    pub(super) fn connect(&mut self, client: usize) {
        let now = self.now;
        if self.clients[client].connection.is_some() || now < self.clients[client].connect_at {
            return;
        }
        let open: Vec<_> = (0..self.gateways.len()).filter(|at| !self.gateways[*at].draining).collect();
        if open.is_empty() {
            return;
        }
        let at = *self.dice.one_of(&open);
        let (shard, known) = (self.dice.below(2), self.dice.percent(50));
        let unix = self.unix();
        let access = self.gateways[at].access.load_full();
        let identity = known.then(|| access.authenticate(&self.clients[client].token, unix).unwrap());
        let (wire, clock) = (Wire::default(), self.clock());
        wire.make(self.dice.below(2_000));
        // Before the gateway says anything.
        let name = self.gateways[at].name.clone();
        let place = self.gateways[at].connect(shard, &wire, identity, now);
        self.clients[client].connected(clock, &name, place, wire);
        let clock = self.clock();
        commands::greet(&mut self.clients[client], clock, known, &mut self.dice);
    }

    /// The client reads what has come.
    pub(super) fn read(&mut self, client: usize) {
        let pace = self.clients[client].pace;
        let room = if pace > 100_000 { pace } else { self.dice.below(pace + 1) };
        self.read_some(client, room);
    }

    pub(super) fn read_some(&mut self, client: usize, room: usize) {
        if let Some((at, shard, slot)) = self.place(client)
            && let Some(connection) = &self.clients[client].connection
            && connection.wire.make(room)
        {
            self.gateways[at].shards[shard].engine.writable(slot);
        }
        let Self { clients, dice, now, instants, .. } = self;
        let (now, base) = (*now, *now * 1_000_000);
        let mut clock = || {
            *instants += 1;
            base + *instants
        };
        clients[client].read(now, &mut clock, dice);
        self.hang_up(client);
    }

    /// What the client has sent arrives, as far as the gateway reads.
    pub(super) fn upload(&mut self, client: usize, bytes: usize) {
        let place = self.place(client);
        let Some(connection) = &mut self.clients[client].connection else { return };
        let Some((at, shard, slot)) = place else {
            connection.up.clear();
            return;
        };
        let engine = &mut self.gateways[at].shards[shard].engine;
        if engine.readable_socket(slot).is_some() {
            let bytes = bytes.min(connection.up.len());
            let mut some: Vec<u8> = connection.up.drain(..bytes).collect();
            engine.received(slot, &mut some);
        }
    }

    /// The gateway sees that the client has gone.
    fn hang_up(&mut self, client: usize) {
        let gone = |connection: &super::client::Connection| connection.hung_up;
        if !self.clients[client].connection.as_ref().is_some_and(gone) {
            return;
        }
        if let Some((at, shard, slot)) = self.place(client) {
            if let Some(connection) = &self.clients[client].connection {
                connection.wire.break_off();
            }
            self.gateways[at].shards[shard].engine.ended(slot);
        }
        self.clients[client].connection = None;
    }

    /// The client is cut off.
    pub(super) fn cut(&mut self, client: usize) {
        let (clock, now) = (self.clock(), self.now);
        if self.clients[client].connection.is_some() {
            self.clients[client].cut(clock, now, &mut self.dice);
            self.hang_up(client);
        }
    }

    // --- Time ----------------------------------------------------------------------------------------------------

    /// Time passes.
    pub(super) async fn pass(&mut self, ms: u64) {
        if ms >= 300 {
            // No network takes that long.
            (0..self.clients.len()).for_each(|client| self.upload(client, usize::MAX));
        }
        tokio::time::advance(Duration::from_millis(ms)).await;
        let before = self.now;
        self.now += ms;
        self.instants = 0;
        let unix = self.unix();
        for gateway in &mut self.gateways {
            gateway.at(self.now, unix);
            gateway.tick(self.now / 250 - before / 250);
            if self.now / 1000 > before / 1000 {
                gateway.link.tick();
            }
        }
        for client in 0..self.clients.len() {
            let now = self.now;
            if self.clients[client].leave_at.take_if(|at| *at <= now).is_some() {
                self.cut(client);
            }
            self.connect(client);
        }
    }

    /// A message on every topic, for all who wait for one.
    pub(super) fn publish_everywhere(&mut self) {
        for topic in TOPICS {
            self.publish(topic);
        }
    }

    /// The end of the run.
    pub(super) fn finish(mut self) -> History {
        let end = self.clock();
        self.clients.clear();
        self.recorder.finish(end)
    }
}
