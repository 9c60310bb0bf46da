//! The gateway on a real `nats-server`, which is published to from outside.

mod bench;
mod credentials;
mod interests;
mod latency;
mod messages;
mod outage;
mod reloading;
mod scope;
mod sessions;
mod sse;
mod streams;

use crate::support::NatsServer;

#[test]
fn the_server_of_these_tests_restarts_on_its_port_and_tells_its_subscriptions() {
    let mut nats = NatsServer::start();
    let mut outside = nats.client();
    outside.subscribe("a.*");
    outside.publish_with_headers("a.b", &[("X", "1")], "body");
    outside.flush();
    let message = outside.next();
    assert_eq!((message.subject.as_str(), message.body.as_slice()), ("a.b", b"body".as_slice()));
    nats.wait_for_subscriptions(&[]);
    let url = nats.url();
    nats.kill();
    nats.start_again();
    assert_eq!(nats.url(), url);
    nats.client().flush();
}
