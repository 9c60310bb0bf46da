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
#![allow(dead_code)] // while its parts are put together

mod backoff;
mod build;
mod conditions;
mod deletion_cost;
mod kind;
mod leader;
mod names;
mod observed;
mod reason;
mod references;
mod status;
mod validate;
