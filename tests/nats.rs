//! The gateway on a real `nats-server`, which is published to from outside.

mod credentials;
mod interests;
mod messages;
mod outage;
mod scope;
