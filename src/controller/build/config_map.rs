//! The configuration the pods read. It has only what a gateway reads, so that a change of anything else leaves it alone
//! but for the generation.

use k8s_openapi::api::core::v1::ConfigMap;

use super::{Child, parent::Parent};
use crate::{
    api::GatewayConfig,
    controller::{kind::Kind, names, observed::Problem},
};

pub(super) fn build(parent: &Parent<'_>) -> Result<Child, Problem> {
    let config = GatewayConfig {
        name: parent.name.to_owned(),
        namespace: parent.namespace.to_owned(),
        generation: parent.inputs.gateway.metadata.generation.unwrap_or_default(),
        secrets_directory: names::SECRETS_DIRECTORY.into(),
        session_key_directory: Some(names::SESSION_KEY_DIRECTORY.into()),
        spec: parent.spec.for_gateway(),
    };
    let name = names::config_map(parent.name);
    let map = ConfigMap {
        metadata: parent.metadata(&name),
        data: Some([(names::CONFIG_KEY.to_owned(), config.render())].into()),
        ..ConfigMap::default()
    };
    parent.child(Kind::ConfigMap, &name, &map)
}
