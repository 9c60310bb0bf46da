//! The gateway's container.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle,
        LifecycleHandler, ObjectFieldSelector, Probe, ResourceRequirements, SecurityContext, SleepAction,
        VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use crate::{
    api::Resources,
    controller::{build::parent::Parent, names},
};

/// Seconds a gateway may take to start, looked at once a second.
const START_SECONDS: i32 = 60;
/// Variable with the name of the pod.
const POD_NAME: &str = "POD_NAME";
/// What is set aside where the resource says nothing.
const REQUESTS: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "128Mi")];

pub(super) fn container(parent: &Parent<'_>) -> Container {
    let (spec, defaults) = (&parent.spec.pod, parent.inputs.defaults);
    Container {
        name: names::CONTAINER.into(),
        image: Some(spec.image.as_ref().unwrap_or(&defaults.image).clone()),
        image_pull_policy: Some(spec.image_pull_policy.unwrap_or(defaults.pull_policy).as_str().into()),
        args: Some(arguments()),
        env: environment(parent),
        ports: Some(vec![
            port(names::PUBLIC_PORT, parent.spec.listeners.port),
            port(names::ADMIN_PORT, names::ADMIN_PORT_NUMBER),
        ]),
        startup_probe: Some(Probe {
            // A first look at once would always be too early, and a warning in everybody's Events.
            initial_delay_seconds: Some(1),
            ..probe("/livez", 1, 1, START_SECONDS)
        }),
        // Neither NATS nor load decides about life: a restart loses every socket.
        liveness_probe: Some(probe("/livez", 10, 5, 3)),
        // A gateway that loses its backbone has waited some seconds by itself.
        readiness_probe: Some(probe("/readyz", 2, 2, 2)),
        lifecycle: pre_stop(parent.spec.drain.pre_stop_seconds),
        resources: Some(resources(spec.resources.as_ref())),
        security_context: Some(security()),
        volume_mounts: Some(mounts()),
        ..Container::default()
    }
}

/// Where traces go, and who sends them. Nothing where they go nowhere.
fn environment(parent: &Parent<'_>) -> Option<Vec<EnvVar>> {
    let given = &parent.inputs.defaults.environment;
    if given.is_empty() {
        return None;
    }
    let plain =
        |name: &str, value: String| EnvVar { name: name.into(), value: Some(value), ..EnvVar::default() };
    let own = EnvVar {
        name: POD_NAME.into(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".into(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let who = format!(
        "k8s.namespace.name={},k8s.deployment.name={},k8s.pod.name=$({POD_NAME})",
        parent.namespace, parent.name
    );
    let given = given.iter().map(|(name, value)| plain(name, value.clone()));
    Some([own, plain("OTEL_RESOURCE_ATTRIBUTES", who)].into_iter().chain(given).collect())
}

fn arguments() -> Vec<String> {
    let config = format!("{}/{}", names::CONFIG_DIRECTORY, names::CONFIG_KEY);
    let admin = format!("0.0.0.0:{}", names::ADMIN_PORT_NUMBER);
    ["gateway", "--config", &config, "--admin", &admin].map(String::from).into()
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String(names::ADMIN_PORT.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// The kubelet itself waits before it sends SIGTERM (KEP-3960): an image without a shell needs no `sleep`.
fn pre_stop(seconds: i32) -> Option<Lifecycle> {
    let sleep = LifecycleHandler {
        sleep: Some(SleepAction { seconds: seconds.into() }),
        ..LifecycleHandler::default()
    };
    (seconds > 0).then(|| Lifecycle { pre_stop: Some(sleep), ..Lifecycle::default() })
}

fn resources(given: Option<&Resources>) -> ResourceRequirements {
    let Some(given) = given else {
        let requests = REQUESTS.map(|(name, quantity)| (name.to_owned(), Quantity(quantity.to_owned())));
        return ResourceRequirements { requests: Some(requests.into()), ..ResourceRequirements::default() };
    };
    ResourceRequirements {
        requests: quantities(&given.requests),
        limits: quantities(&given.limits),
        ..ResourceRequirements::default()
    }
}

fn quantities(of: &BTreeMap<String, IntOrString>) -> Option<BTreeMap<String, Quantity>> {
    let text = |quantity: &IntOrString| match quantity {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    let all = || of.iter().map(|(name, quantity)| (name.clone(), Quantity(text(quantity)))).collect();
    (!of.is_empty()).then(all)
}

fn security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        ..SecurityContext::default()
    }
}

fn mounts() -> Vec<VolumeMount> {
    // Whole folders: the kubelet never changes what is mounted by subPath.
    let mount = |(name, path): (&str, &str)| VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    [
        ("config", names::CONFIG_DIRECTORY),
        ("secrets", names::SECRETS_DIRECTORY),
        ("session-key", names::SESSION_KEY_DIRECTORY),
    ]
    .map(mount)
    .into()
}
