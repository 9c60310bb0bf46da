//! Who follows a gateway on a stream, and publishes, while its pods come and go; the checker judges what everybody saw.

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::{
    audience::{Audience, Balancer, Clock, Size, recorder, stored},
    gateway::{Gateway, address, publisher},
    namespace::Namespace,
};

/// An audience of a gateway, and what it is due.
pub(crate) struct Watched {
    pub(crate) audience: Audience,
    /// How many of it have a session.
    pub(crate) sessions: u64,
    /// The topics, each with how many follow it by its name.
    followers: Vec<(String, u64)>,
    #[allow(dead_code, reason = "what it runs ends with it")]
    runtime: Runtime,
}

impl Watched {
    /// Lets everybody in by the gateway's Service. Not `direct`: each connection goes through this process, which can
    /// cut it.
    pub(crate) fn gather(namespace: &Namespace, gateway: Gateway<'_>, size: Size, direct: bool) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (handle, nats) = (runtime.handle(), address(namespace, "nats"));
        let service = Balancer::start(handle, direct);
        // Which pod a connection leads to, only Kubernetes knows.
        service.add("", gateway.address());
        let audience = Audience::gather(handle, &service, nats, Clock::start(), recorder(), size);
        let of = |topic: &String| (topic.clone(), audience.crowd.naming(topic) as u64);
        let followers = audience.topics.iter().map(of).collect();
        Self { sessions: audience.crowd.tally.of("begun"), followers, audience, runtime }
    }

    /// Nothing happens any more: everybody must have got everything that the stream has, in order and once, in the
    /// session that it began with.
    #[track_caller]
    pub(crate) fn assert_nothing_was_lost(self, namespace: &Namespace) {
        let verdict = self.audience.end();
        let stored = stored(&mut publisher(namespace, "nats", json!({})));
        let due: u64 = self.followers.iter().map(|(topic, followers)| stored[topic] * followers).sum();
        println!("{due} messages of topics followed by name");
        verdict.assert_clean();
        assert_eq!(verdict.report.told, 0, "nothing was only told by a gap");
        assert_eq!(verdict.clients.of("new"), due, "everybody has all that the stream has, once");
        assert_eq!(verdict.clients.of("begun"), self.sessions, "everybody kept the first session");
    }
}
