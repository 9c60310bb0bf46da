//! `topic-gateway crd`.

use super::{Failure, print};

/// Print the definition of the resource for a cluster (its CRD) as YAML
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway crd | kubectl apply --server-side -f -
  topic-gateway crd > topicgateways.yaml

Exit codes: 0 printed, 69 standard output cannot be written to")]
pub(super) struct Args {}

pub(super) fn run(_: Args) -> Result<(), Failure> {
    print(&crate::api::crd_yaml())
}
