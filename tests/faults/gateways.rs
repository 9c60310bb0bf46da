//! The gateways behind the balancer: always two, but for the moments in which one is replaced.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    audience::{self, Balancer, Clock, Tally, token},
    checker::{Mark, Recorder},
    support::{Client, Configured, DEADLINE, Resource},
};

const KEY: &str = "a-key-of-32-bytes-for-all-of-us.";

/// What a gateway still has when nobody is there: nothing of these.
const GAUGES: [&str; 6] = [
    "topicgateway_connections",
    "topicgateway_subscriptions",
    "topicgateway_topics",
    "topicgateway_topic_subscribers",
    "topicgateway_topic_series",
    "topicgateway_log_bytes",
];
/// Counted by gateways, and summed up where one ends in good order or at the end.
const COUNTERS: [&str; 6] = [
    "topicgateway_history_reads_total",
    "topicgateway_repaired_total",
    "topicgateway_slow_consumer_total",
    "topicgateway_backbone_dropped_total",
    "topicgateway_backbone_reconnects_total",
    "topicgateway_redelivered_total",
];

/// A resource on this NATS whose gateways know each other's sessions.
pub(crate) fn resource(nats: &str, drain_seconds: u64) -> Resource {
    audience::resource(nats, drain_seconds).session_keys(KEY, None)
}

/// The gateways of a run.
pub(crate) struct Gateways {
    resource: Resource,
    balancer: Balancer,
    clock: Clock,
    recorder: Recorder,
    /// The oldest first.
    running: Vec<(String, Configured)>,
    started: usize,
    /// What those counted that have ended.
    pub(crate) counts: Tally,
}

impl Gateways {
    /// None yet.
    pub(crate) fn new(resource: Resource, balancer: Balancer, clock: Clock, recorder: Recorder) -> Self {
        let (running, started, counts) = (Vec::new(), 0, Tally::default());
        Self { resource, balancer, clock, recorder, running, started, counts }
    }

    /// The oldest one.
    pub(crate) fn oldest(&self) -> &Configured {
        &self.running[0].1
    }

    /// One more, behind the balancer as soon as it is ready.
    pub(crate) fn start_one(&mut self) {
        self.started += 1;
        let name = format!("gateway-{}", self.started);
        // Both ways to run a shard are tried: alone on its thread, and beside the backbone.
        let gateway = Configured::start_on(self.started.is_multiple_of(2), &self.resource);
        let end = Instant::now() + DEADLINE;
        while !gateway.ready() {
            assert!(Instant::now() < end, "{name} is not ready: {}", gateway.process.output());
            thread::sleep(Duration::from_millis(20));
        }
        self.balancer.add(&name, gateway.address);
        self.running.push((name, gateway));
    }

    /// One is told to end, and another started meanwhile.
    pub(crate) fn terminate(&mut self, oldest: bool, first: bool) {
        let (name, mut gateway) = self.take(oldest);
        if first {
            self.balancer.remove(&name);
        }
        self.sum_up(&gateway);
        gateway.process.signal("TERM");
        self.start_one();
        self.balancer.remove(&name);
        let status = gateway.process.wait();
        assert!(status.success(), "{name} ended with {status}: {}", gateway.process.output());
    }

    /// One is killed, and another started after a while.
    pub(crate) fn kill(&mut self, oldest: bool, noticed: Duration, pause: Duration) {
        let (name, mut gateway) = self.take(oldest);
        self.sum_up(&gateway);
        self.recorder.mark(self.clock.now(), Mark::GatewayKilled(name.clone()));
        gateway.process.kill();
        thread::sleep(noticed);
        self.balancer.remove(&name);
        thread::sleep(pause);
        self.start_one();
    }

    fn take(&mut self, oldest: bool) -> (String, Configured) {
        let place = if oldest { 0 } else { self.running.len() - 1 };
        self.running.remove(place)
    }

    /// Adds what a gateway has counted.
    fn sum_up(&self, gateway: &Configured) {
        let metrics = gateway.metrics();
        let whole = |value: f64| format!("{value:.0}").parse().unwrap_or(0);
        for name in COUNTERS {
            self.counts.add(name.trim_start_matches("topicgateway_"), whole(metrics.sum(name, &[])));
        }
        for reason in ["expired", "dropped", "backbone"] {
            let value = metrics.sum("topicgateway_gaps_total", &[("reason", reason)]);
            self.counts.add(format!("gaps_total {reason}"), whole(value));
        }
    }

    /// Waits until both are ready and a subscriber of each can have this topic's history.
    pub(crate) async fn wait_for_history(&self, topic: &str) {
        for (name, gateway) in &self.running {
            let end = Instant::now() + DEADLINE;
            loop {
                let mut client = gateway.client().await;
                client.ask(json!({"type": "setup", "token": token("probe")})).await;
                let answer = client.ask(json!({"type": "subscribe", "topic": topic, "last": 1})).await;
                Client::close(client).await;
                if answer["type"] == "subscribed" && answer["recoverable"] == true {
                    break;
                }
                assert!(Instant::now() < end, "{name} has no history: {answer}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// After everybody has left, no gauge shows anybody.
    pub(crate) fn assert_empty(&self) {
        for (name, gateway) in &self.running {
            self.sum_up(gateway);
            for gauge in GAUGES {
                println!("{name}: {gauge} is to be 0");
                gateway.wait_for_metric(gauge, &[], 0.0);
            }
            let stats: Value = gateway.get("/stats").json();
            assert_eq!(stats["connections"], 0, "{name}: {stats}");
        }
    }
}
