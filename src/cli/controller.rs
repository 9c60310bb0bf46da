//! `topic-gateway controller`: the operator.

use std::{collections::BTreeMap, net::SocketAddr};

use futures_util::FutureExt as _;

use super::Failure;
use crate::{
    api::ImagePullPolicy,
    controller::{self, Election, Examine, Fault, KeepStream, KeptStream, RunError, Settings, Unfit},
    gateway::{
        backbone::nats::stream::{self, StreamState},
        examine,
    },
    runtime::{signals::terminated, telemetry},
};

/// Run the operator: make gateways of every `TopicGateway` in a cluster
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It talks to the cluster that its pod runs in, or that KUBECONFIG names. Where the definition of TopicGateway or a
right is missing, or the API server is away, it waits, is not ready and says why; it does not end. Of several
controllers the one that holds the Lease works; the others watch and take over.

Examples:
  topic-gateway controller
  topic-gateway controller --namespace prices --namespace risk
  KUBECONFIG=~/.kube/config topic-gateway controller --image registry.example.com/topic-gateway:0.1.0

Exit codes: 0 told to end (SIGTERM, SIGINT), 1 the Lease was lost, 64 bad usage or no access to a cluster,
69 the admin address is taken, 70 a fault of the program itself")]
pub(super) struct Args {
    /// A namespace to look after, may be given several times [default: the whole cluster]
    #[arg(
        long = "namespace",
        value_name = "NAMESPACE",
        env = "TOPIC_GATEWAY_NAMESPACE",
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
    /// Address for metrics and health
    #[arg(long, value_name = "ADDRESS", env = "TOPIC_GATEWAY_ADMIN", default_value = "0.0.0.0:9090")]
    admin: SocketAddr,
    #[command(flatten)]
    election: ElectionArgs,
    #[command(flatten)]
    pods: PodArgs,
    /// Most resources worked on at a time
    #[arg(long, value_name = "N", env = "TOPIC_GATEWAY_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Name of this pod, from the downward API [default: host name and process id]
    #[arg(long, value_name = "NAME", env = "POD_NAME", hide = true)]
    pod_name: Option<String>,
    /// Namespace of this pod, from the downward API
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", hide = true, default_value = "default")]
    pod_namespace: String,
}

#[derive(Debug, clap::Args)]
struct ElectionArgs {
    /// Whether the holder of a Lease works where there are several controllers
    #[arg(
        long, value_name = "true|false", env = "TOPIC_GATEWAY_LEADER_ELECT", default_value_t = true,
        action = clap::ArgAction::Set
    )]
    leader_elect: bool,
    /// Namespace of the Lease [default: the namespace of this pod]
    #[arg(long, value_name = "NAMESPACE", env = "TOPIC_GATEWAY_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// Name of the Lease
    #[arg(
        long,
        value_name = "NAME",
        env = "TOPIC_GATEWAY_LEASE_NAME",
        default_value = "topic-gateway-controller"
    )]
    lease_name: String,
}

/// What the objects of a gateway are made with.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PodArgs {
    /// Image of gateway pods, where the resource names none
    #[arg(long, value_name = "IMAGE", env = "TOPIC_GATEWAY_IMAGE", default_value = concat!("topic-gateway:", env!("CARGO_PKG_VERSION")))]
    pub(super) image: String,
    /// When that image is pulled
    #[arg(
        long, value_name = "POLICY", env = "TOPIC_GATEWAY_IMAGE_PULL_POLICY", default_value = "IfNotPresent",
        value_parser = pull_policy
    )]
    pub(super) image_pull_policy: ImagePullPolicy,
    /// Where docs/alerts.md is to be read, to whose headings the alerts of a gateway link; empty: no links
    #[arg(long, value_name = "URL", env = "TOPIC_GATEWAY_RUNBOOK_URL", default_value = "docs/alerts.md")]
    pub(super) runbook_url: String,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let _traces = telemetry::init(telemetry::Format::detect(), "topic-gateway-controller")
        .map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::internal(format!("the system refuses a thread: {error}; raise its limits"))
    })?;
    runtime.block_on(async {
        let signals = terminated().map_err(|error| {
            Failure::internal(format!("signals cannot be received: {error}; start it again"))
        })?;
        controller::run(settings(args), signals).await.map_err(|error| match error {
            RunError::Client(_) => Failure::usage(error.to_string()),
            RunError::Admin(..) => Failure::unavailable(error.to_string()),
            RunError::Metrics(_) => Failure::internal(error.to_string()),
            RunError::LeaseLost(_) => Failure { code: 1, message: error.to_string() },
        })
    })
}

fn settings(args: Args) -> Settings {
    let ElectionArgs { leader_elect, lease_namespace, lease_name } = args.election;
    let election = leader_elect.then(|| Election {
        namespace: lease_namespace.unwrap_or_else(|| args.pod_namespace.clone()),
        name: lease_name,
    });
    let mut namespaces: Vec<_> = args.namespaces.into_iter().filter(|name| !name.is_empty()).collect();
    namespaces.sort();
    namespaces.dedup();
    Settings {
        namespaces,
        admin: args.admin,
        image: args.pods.image,
        pull_policy: args.pods.image_pull_policy,
        environment: traced(),
        runbook_url: args.pods.runbook_url,
        namespace: args.pod_namespace,
        identity: args.pod_name.unwrap_or_else(identity),
        election,
        concurrency: args.concurrency.into(),
        examine: Examine(|spec, secrets| {
            examine::examine(spec, secrets).map_err(|unfit| Unfit {
                fault: match unfit.part {
                    examine::Part::Key => Fault::Key,
                    examine::Part::Certificate => Fault::Certificate,
                    examine::Part::Spec => Fault::Spec,
                },
                message: unfit.message,
            })
        }),
        keep_stream: KeepStream(|spec, secrets| {
            async move {
                match stream::visit(&spec, &secrets).await {
                    Ok(StreamState { created, changed, left, .. }) => {
                        Ok(KeptStream { made: created, changed, left })
                    }
                    Err(error) => Err(error.to_string()),
                }
            }
            .boxed()
        }),
    }
}

/// What this process's environment says to OpenTelemetry, but for who it is itself and for what may be secret.
pub(super) fn traced() -> BTreeMap<String, String> {
    let own = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
    let set = |variable: &str| std::env::var(variable).is_ok_and(|value| !value.is_empty());
    if !telemetry::ENDPOINTS.iter().any(|variable| set(variable)) {
        return BTreeMap::new();
    }
    let all = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let told = |name: &str| name.starts_with("OTEL_") && !own.contains(&name) && !name.ends_with("_HEADERS");
    all.filter(|(name, _)| told(name)).collect()
}

/// Outside a pod: unlike that of any other controller that may be running.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "controller" } else { host.trim() };
    format!("{host}_{}", std::process::id())
}

fn pull_policy(text: &str) -> Result<ImagePullPolicy, String> {
    serde_json::from_value(text.into()).map_err(|_| "it is Always, IfNotPresent or Never".into())
}
