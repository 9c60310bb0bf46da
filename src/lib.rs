//! Topics from NATS to WebSocket clients: each message to exactly the subscribers of its topic.
//!
//! ```text
//!    publishers                       clients
//!        │                               ▲ │
//!        ▼                     frames    │ ▼ commands
//!      NATS ──► backbone ──► inbox ──► shard ──► sockets          data plane: one thread per core, owns its sockets
//!        ▲         ▲                     │
//!        │         └── interests ────────┤ topics with subscribers
//!        └── publisher ◄── services ◄────┘ tokens to check, messages to publish
//!                                  ▲
//!      http: upgrade ──────────────┴──► inbox                     control plane: tokio
//! ```
//!
//! A topic is a log, a subscriber is a cursor in it ([`gateway::log`]); a message is encoded once and sent from the
//! log to everybody. Shards and control plane exchange values and share no locks ([`gateway::shard`]).
//!
//! | module | what | knows |
//! |---|---|---|
//! | [`api`] | the `TopicGateway` resource, its rules, topics and patterns | nobody |
//! | [`controller`] | the operator: resource → children in a cluster → status | `api`, `runtime` |
//! | [`gateway`] | one gateway pod; [`gateway::pod`] puts its parts together | `api`, `runtime` |
//! | [`runtime`] | signals, logs, readiness, the admin server | `api` |
//! | [`cli`] | the commands | everybody |
//!
//! Inside the gateway `protocol`, `log` and `websocket` are pure: bytes and time go in, bytes and decisions come out.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod cli;
pub mod controller;
pub mod gateway;
pub mod runtime;
