//! `topic-gateway dev`.

use std::{net::SocketAddr, time::Duration};

use super::{
    Failure, manifest, print,
    serve::{Serving, serve},
};
use crate::{
    api::{self, Manifests, SESSION_KEYS, SecretError},
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

Ctrl-C ends it within two seconds, SIGTERM after the drain window of the resource; each a second time at once.

Exit codes: 0 told to end, 64 bad usage or a file that is not valid, 69 an address is taken, 70 a fault of the program
itself")]
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
        live: true,
        patience: Duration::from_secs(2),
        hint: "\nIn a browser:       {page}\nRead a topic:       {program} sub prices.btc --url {url}\n\
            Publish to it:      {program} pub prices.btc '{\"price\": 1}' --url {url}\n",
    };
    let generation = manifests.gateway.metadata.generation.unwrap_or(1);
    let session_keys = session_keys(&manifests)?;
    let (spec, secrets) = (manifests.gateway.spec, manifests.secrets);
    serve(Configuration { generation, spec, secrets, session_keys }, serving)
}

/// The session keys of the Secret that the gateway's pods have them from. Without it, and where topics are in memory
/// so that no position outlives the process, a key of this process alone.
fn session_keys(Manifests { gateway, secrets, .. }: &Manifests) -> Result<SessionKeys, Failure> {
    let secret = api::session_key_secret(gateway.metadata.name.as_deref().unwrap_or_default());
    let [newest, previous] = SESSION_KEYS.map(|key| secrets.value(&secret, key));
    if gateway.spec.backbone.memory.is_some() || matches!(newest, Err(SecretError::NoSecret(_))) {
        return Ok(SessionKeys::random());
    }
    let newest = newest.map_err(|error| Failure::usage(error.to_string()))?.to_vec();
    SessionKeys::new(newest, previous.ok().map(<[u8]>::to_vec))
        .map_err(|error| Failure::usage(format!("Secret {secret:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of a gateway `a` with this backbone and with this data in its Secret.
    fn keys(backbone: &str, data: &str) -> Result<SessionKeys, String> {
        let text = format!(
            "{{apiVersion: topicgateway.io/v1alpha1, kind: TopicGateway, metadata: {{name: a}}, spec: {{backbone: {backbone}}}}}\n\
             ---\n{{apiVersion: v1, kind: Secret, metadata: {{name: a-session-key}}, stringData: {{{data}}}}}\n"
        );
        let manifests = Manifests::parse(&[("a.yaml".into(), text)]).unwrap();
        session_keys(&manifests).map_err(|failure| failure.to_string())
    }

    const NATS: &str = "{nats: {servers: ['nats://127.0.0.1:4222']}}";
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn the_secret_beside_the_resource_has_the_session_keys() {
        let expected = SessionKeys::new(KEY.into(), Some(OLD.into())).unwrap();
        assert_eq!(keys(NATS, &format!("key: '{KEY}', previous: '{OLD}'")), Ok(expected));
        let expected = SessionKeys::new(KEY.into(), None).unwrap();
        assert_eq!(keys(NATS, &format!("key: '{KEY}'")), Ok(expected));
    }

    #[test]
    fn topics_in_memory_have_a_key_of_the_process() {
        let one = keys("{memory: {}}", &format!("key: '{KEY}'")).unwrap();
        assert_ne!(one, SessionKeys::new(KEY.into(), None).unwrap());
    }

    #[test]
    fn an_unfit_secret_is_refused_by_name() {
        let short = keys(NATS, "key: short").unwrap_err();
        assert!(short.contains("a-session-key") && short.contains("it has 5 bytes"), "{short}");
        let none = keys(NATS, "other: x").unwrap_err();
        assert!(none.contains("has no key \"key\""), "{none}");
    }
}
