//! An Ingress for one host, in front of the Service.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};

use super::{Child, given, parent::Parent};
use crate::controller::{kind::Kind, names, observed::Problem};

pub(super) fn build(parent: &Parent<'_>) -> Option<Result<Child, Problem>> {
    let wanted = parent.spec.ingress.as_ref()?;
    let port = ServiceBackendPort { name: Some(names::PUBLIC_PORT.into()), number: None };
    let service = IngressServiceBackend { name: parent.name.to_owned(), port: Some(port) };
    let path = HTTPIngressPath {
        path: Some("/".into()),
        path_type: "Prefix".into(),
        backend: IngressBackend { service: Some(service), resource: None },
    };
    let rule = IngressRule {
        host: Some(wanted.host.clone()),
        http: Some(HTTPIngressRuleValue { paths: vec![path] }),
    };
    let tls = wanted.tls_secret_name.as_ref().map(|secret| IngressTLS {
        hosts: Some(vec![wanted.host.clone()]),
        secret_name: Some(secret.clone()),
    });
    let mut metadata = parent.metadata(parent.name);
    metadata.annotations = given(&wanted.annotations);
    let ingress = Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.clone(),
            rules: Some(vec![rule]),
            tls: tls.map(|tls| vec![tls]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    };
    Some(parent.child(Kind::Ingress, parent.name, &ingress))
}
