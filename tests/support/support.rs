//! What scenarios and benches are written with: the real gateway, a real NATS server, and independent clients of
//! both. Loaded by path from both, so that the modules below are looked for beside this file.

mod client;
mod collector;
mod configured;
mod dashboards;
mod event_stream;
mod gateway;
mod http;
mod metrics;
mod nats_client;
mod nats_server;
mod process;
mod prometheus;
mod raw;
mod resource;
mod tls;
mod token;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(crate) use client::{Client, data_of};
pub(crate) use collector::{Collector, Seen};
pub(crate) use configured::Configured;
pub(crate) use dashboards::{about_everything, dashboard, queries};
pub(crate) use event_stream::EventStream;
pub(crate) use gateway::{Gateway, command};
pub(crate) use http::{Answer, get, request, try_get};
pub(crate) use metrics::Metrics;
pub(crate) use nats_client::NatsClient;
pub(crate) use nats_server::NatsServer;
pub(crate) use process::Process;
pub(crate) use prometheus::Prometheus;
pub(crate) use raw::{RawSocket, frame};
pub(crate) use resource::Resource;
pub(crate) use tls::Authority;
pub(crate) use token::{Issuer, now};

/// How long anything that should happen may take: far beyond what it takes, since machines may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A `KUBECONFIG` for a cluster whose API server is away.
pub(crate) const NOWHERE: &str = "\
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {}}]
";

/// Waits until `probe` gives something; panics after [`DEADLINE`] with `what` was waited for.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until `condition` holds; panics after [`DEADLINE`] with `what` was waited for.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}
