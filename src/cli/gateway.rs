//! `topic-gateway gateway`: what runs in a pod.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    Failure,
    serve::{Serving, serve},
};
use crate::api::{GatewayConfig, Secrets};

/// Most bytes of one file with a Secret's value; Kubernetes allows a Secret 1 MiB in all.
const MAX_SECRET_BYTES: u64 = 1024 * 1024;

/// Serve a gateway from a `GatewayConfig`, as a pod does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds the name, namespace and generation of a TopicGateway, its spec, and the folder its Secrets are
mounted in, each value as <secretsDirectory>/<secret name>/<key>.

Examples:
  topic-gateway gateway --config /etc/topic-gateway/config.yaml

SIGTERM ends it after the drain window of the resource, a second signal at once.")]
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
    let file = args.config.display().to_string();
    let text = fs::read_to_string(&args.config)
        .map_err(|error| Failure::usage(format!("cannot read {file}: {error}; check the path")))?;
    let config = GatewayConfig::parse(&file, &text)?;
    let secrets = secrets(&config)?;
    let port = u16::try_from(config.spec.listeners.port).unwrap_or(8080);
    let serving = Serving {
        listen: args.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
        admin: args.admin,
        demo: false,
        generation: config.generation,
        patience: Duration::MAX,
        hint: "",
    };
    serve(&config.spec, &secrets, &serving)
}

/// Reads the values that the spec refers to, and no others.
fn secrets(config: &GatewayConfig) -> Result<Secrets, Failure> {
    let mut secrets = Secrets::default();
    for reference in config.spec.secret_references() {
        let key = &reference.key;
        let path = config.secrets_directory.join(&key.name).join(&key.key);
        let read = fs::metadata(&path).and_then(|found| {
            if found.len() > MAX_SECRET_BYTES {
                return Err(std::io::Error::other("it is larger than 1 MiB"));
            }
            fs::read(&path)
        });
        let value = read.map_err(|error| {
            let (field, path) = (&reference.field, path.display());
            Failure::usage(format!("{field}: cannot read {path}: {error}; mount Secret {:?} there", key.name))
        })?;
        secrets.insert(&key.name, &key.key, value);
    }
    Ok(secrets)
}
