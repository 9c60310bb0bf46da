//! `topic-gateway crd`.

use super::{Failure, print};

/// Print the definition of the resource for a cluster (its CRD) as YAML
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  topic-gateway crd | kubectl apply -f -")]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> Result<(), Failure> {
    print(&crate::api::crd_yaml())
}
