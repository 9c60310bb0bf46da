//! Labels, annotations, field managers and the names of children: each is written down here once.

use std::collections::BTreeMap;

/// Field manager of every child.
pub(crate) const FIELD_MANAGER: &str = "topic-gateway-controller";
/// Field manager of the status.
pub(crate) const STATUS_MANAGER: &str = "topic-gateway-controller/status";
/// Name of the product in labels.
pub(crate) const PRODUCT: &str = "topic-gateway";

/// Label: the product.
pub(crate) const NAME: &str = "app.kubernetes.io/name";
/// Label: the `TopicGateway`.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: what part of the product it is.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
/// Label: the product, for those who look at a whole.
pub(crate) const PART_OF: &str = "app.kubernetes.io/part-of";
/// Label: who made it.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label: version of the product that made it.
pub(crate) const VERSION: &str = "app.kubernetes.io/version";

/// Value of [`COMPONENT`] for children.
pub(crate) const GATEWAY: &str = "gateway";
/// Value of [`COMPONENT`] for the controller itself, as the chart labels it.
pub(crate) const CONTROLLER: &str = "controller";

/// Annotation of a pod: the configuration it should have by now. Changing it makes the kubelet refresh the pod's
/// volumes at once instead of after a minute or more.
pub(crate) const CONFIG_GENERATION: &str = "topicgateway.io/config-generation";
/// Annotation of a pod: there where it speaks TLS with clients, so that pods are replaced when that is turned on or off.
pub(crate) const TLS: &str = "topicgateway.io/tls";
/// Annotation of a pod: the `ReplicaSet` controller takes the pod with the lowest first (KEP-2255).
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Name of the pods' container.
pub(crate) const CONTAINER: &str = "gateway";
/// Name of the port for clients.
pub(crate) const PUBLIC_PORT: &str = "ws";
/// Name of the port for metrics and health.
pub(crate) const ADMIN_PORT: &str = "admin";
/// Number of the port for metrics and health.
pub(crate) const ADMIN_PORT_NUMBER: i32 = 9090;
/// Key of the `ConfigMap`.
pub(crate) const CONFIG_KEY: &str = "config.json";
/// Where a pod finds its configuration.
pub(crate) const CONFIG_DIRECTORY: &str = "/etc/topic-gateway/config";
/// Where a pod finds the Secrets its configuration refers to.
pub(crate) const SECRETS_DIRECTORY: &str = "/etc/topic-gateway/secrets";
/// Where a pod finds the session key.
pub(crate) const SESSION_KEY_DIRECTORY: &str = "/etc/topic-gateway/session-key";

/// Name of the `ConfigMap`.
pub(crate) fn config_map(gateway: &str) -> String {
    format!("{gateway}-config")
}

/// Name of the Secret with the values that the configuration refers to.
pub(crate) fn secrets(gateway: &str) -> String {
    format!("{gateway}-secrets")
}

/// Name of the headless Service.
pub(crate) fn headless(gateway: &str) -> String {
    format!("{gateway}-headless")
}

/// What selects the pods of a gateway, and never changes.
pub(crate) fn selector(gateway: &str) -> BTreeMap<String, String> {
    [(NAME, PRODUCT), (INSTANCE, gateway), (COMPONENT, GATEWAY)]
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

/// The labels of every child.
pub(crate) fn labels(gateway: &str) -> BTreeMap<String, String> {
    let mut labels = selector(gateway);
    let more = [(PART_OF, PRODUCT), (MANAGED_BY, FIELD_MANAGER), (VERSION, env!("CARGO_PKG_VERSION"))];
    labels.extend(more.map(|(key, value)| (key.into(), value.into())));
    labels
}

/// Selects every child and every pod of this controller: what its watches ask for.
pub(crate) fn children_selector() -> String {
    format!("{NAME}={PRODUCT},{COMPONENT}={GATEWAY}")
}
