//! Holds files against the schema as a cluster would: every finding with its file, line and field.

mod finding;
mod schema;
mod semantic;
mod suggest;
mod yaml;

pub use finding::{Finding, Findings};
pub use semantic::SecretReference;

pub(super) use finding::Report;
pub(super) use schema::{Checked, Patterns, Prepared, Unknown};
pub(super) use semantic::{check_contradictions, cluster_note, dangling, notes};
pub(super) use suggest::did_you_mean;
pub(super) use yaml::{Node, documents};
