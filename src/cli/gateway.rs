//! `topic-gateway gateway`: what runs in a pod.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    Failure,
    serve::{Serving, serve},
};
use crate::gateway::config::Reader;

/// Serve a gateway from a `GatewayConfig`, as a pod does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds the name, namespace and generation of a TopicGateway, its spec, and the folders its Secrets and its
session key are mounted in: each value as <secretsDirectory>/<secret name>_<key>, and <sessionKeyDirectory>/key and
previous. All are looked at every second: what changes is taken over without closing a connection whose client would
still be let in, but for the port and whether clients speak TLS. What is wrong is not taken over, and told in the log
and by /status on the admin port.

Examples:
  topic-gateway gateway --config /etc/topic-gateway/config.yaml

SIGTERM ends it after the drain window of the resource, a second signal at once.

Exit codes: 0 told to end, 64 bad usage or a file that is not valid, 69 an address is taken, 70 a fault of the program
itself")]
pub(super) struct Args {
    /// The `GatewayConfig`, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Address for clients [default: all addresses, the port of the resource]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address for metrics and health
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    admin: SocketAddr,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut reader = Reader::new(args.config.clone());
    let configuration = reader.read().map_err(|error| Failure::usage(error.to_string()))?;
    let port = u16::try_from(configuration.spec.listeners.port).unwrap_or(8080);
    let serving = Serving {
        listen: args.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
        admin: args.admin,
        demo: false,
        source: Some(reader),
        live: false,
        patience: Duration::MAX,
        hint: "",
    };
    serve(configuration, serving)
}
