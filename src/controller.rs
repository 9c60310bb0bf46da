//! The operator: what a `TopicGateway` declares becomes children in the cluster, and stays so.
//!
//! ```text
//! watches ─► queue ─► resolve ─► validate ─► build ─► apply ─► prune ─► observe ─► status
//!            (debounce, (reads     (pure)      (pure)   (server-side  (what is   (pods    (pure, written
//!             backoff)   Secrets)               ▼        apply, in     no longer  tell)    when changed)
//!                                            Children    order)        wanted)
//! ```
//!
//! Level-triggered: every pass looks at the whole and can begin from nothing. What is pure takes no clock and no
//! client; the shell around it reads, writes and waits. Gateways never need the controller at run time.

mod admin;
mod apis;
mod apply;
mod backoff;
mod build;
mod cache;
mod client;
mod conditions;
mod deletion_cost;
mod events;
mod health;
mod kind;
mod leader;
mod memory;
mod metrics;
mod names;
mod observed;
mod pods;
mod preview;
mod process;
mod prune;
mod queue;
mod reason;
mod reconcile;
mod references;
mod refusal;
mod schedule;
mod settings;
mod shared;
mod status;
mod streams;
mod validate;
mod watch;
mod work;

pub use client::ClientError;
pub use preview::{Assumed, Planned, preview};
pub use process::{RunError, run};
pub use settings::{Election, Examine, Fault, KeepStream, KeptStream, Settings, Unfit};
