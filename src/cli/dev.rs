//! `topic-gateway dev`.

use std::{net::SocketAddr, time::Duration};

use super::{
    Failure, manifest, print,
    serve::{Serving, serve},
};
use crate::{
    api,
    gateway::{config::Configuration, sessions::SessionKeys},
};

/// Serve a gateway on this machine, from the very file a cluster would be given
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a file topics live in memory, and anonymous clients from this machine may do everything.
With a file it serves the TopicGateway in it, with the Secrets beside it, by the rules a cluster has. The file is read
once: start it again after a change.

Examples:
  topic-gateway dev
  topic-gateway dev -f gateway.yaml -f secrets.yaml
  topic-gateway dev --listen 127.0.0.1:0 --admin 127.0.0.1:0      (free ports, printed)

Ctrl-C ends it within two seconds, SIGTERM after the drain window of the resource; each a second time at once.")]
pub(super) struct Args {
    /// A file to serve, `-` for standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<String>,
    /// Address for clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address for metrics and health
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let manifests = if args.files.is_empty() { api::builtin()? } else { manifest::load(&args.files)? };
    for note in &manifests.notes {
        print(&format!("note: {note}\n"))?;
    }
    let serving = Serving {
        listen: args.listen,
        admin: args.admin,
        demo: true,
        source: None,
        patience: Duration::from_secs(2),
        hint: "\nRead a topic:       {program} sub prices.btc --url {url}\n\
            Publish to it:      {program} pub prices.btc '{\"price\": 1}' --url {url}\n",
    };
    let generation = manifests.gateway.metadata.generation.unwrap_or(1);
    let (spec, secrets) = (manifests.gateway.spec, manifests.secrets);
    serve(Configuration { generation, spec, secrets, session_keys: SessionKeys::random() }, serving)
}
