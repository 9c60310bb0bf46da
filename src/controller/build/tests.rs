//! Whole objects against files, and what holds for all of them.

mod rollout;

use std::{env, fs, path::Path, sync::LazyLock};

use serde_json::{Value, json};

use super::*;
use crate::{
    api::Manifests,
    controller::{names, reason::Reason},
};

/// Set to `write`, the files are written anew: look at what has changed.
const WRITE: &str = "TOPIC_GATEWAY_GOLDEN";

/// As little as there can be.
static MEMORY: LazyLock<Given> =
    LazyLock::new(|| Given::parse(include_str!("tests/golden/memory.input.yaml")));
/// Everything at once.
static EVERYTHING: LazyLock<Given> =
    LazyLock::new(|| Given::parse(include_str!("tests/golden/everything.input.yaml")));

/// What children are built from, as a test has it.
#[derive(Clone)]
struct Given {
    gateway: TopicGateway,
    secrets: Secrets,
    optional: BTreeSet<Kind>,
    key: SessionKey,
    environment: BTreeMap<String, String>,
}

impl Given {
    fn parse(text: &str) -> Self {
        let Manifests { mut gateway, secrets, .. } =
            Manifests::parse(&[("input.yaml".into(), text.into())]).unwrap();
        gateway.metadata.uid = Some("5b5ff1f6-0c5c-4d6e-9d1b-1d6f0e3f6a11".into());
        gateway.metadata.generation = Some(3);
        let (optional, key) = (Kind::ALL.into(), SessionKey([7; 32]));
        Self { gateway, secrets, optional, key, environment: BTreeMap::new() }
    }

    /// The resource of this spec beside `backbone: {memory: {}}`.
    fn spec(spec: &Value) -> Self {
        let mut given = MEMORY.clone();
        let mut all = serde_json::to_value(&given.gateway.spec).unwrap();
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        given.gateway.spec = serde_json::from_value(all).unwrap();
        given
    }

    fn build(&self) -> Result<Vec<Child>, Problem> {
        let defaults = Defaults {
            image: "registry.example.com/topic-gateway:0".into(),
            pull_policy: ImagePullPolicy::IfNotPresent,
            environment: self.environment.clone(),
            runbook_url: "https://runbooks.example.com/alerts".into(),
            controller_namespace: "topic-gateway-system".into(),
        };
        let Self { gateway, secrets, optional, key, .. } = self;
        children(&Inputs { gateway, secrets: Some(secrets), defaults: &defaults, optional, session_key: key })
    }

    /// Without the values of any Secret.
    fn build_without(&self) -> Vec<Child> {
        let defaults = Defaults {
            image: "i".into(),
            pull_policy: ImagePullPolicy::IfNotPresent,
            environment: BTreeMap::new(),
            runbook_url: String::new(),
            controller_namespace: "c".into(),
        };
        let Self { gateway, optional, key, .. } = self;
        children(&Inputs { gateway, secrets: None, defaults: &defaults, optional, session_key: key }).unwrap()
    }

    fn children(&self) -> Vec<Child> {
        self.build().unwrap()
    }

    fn child(&self, kind: Kind, name: &str) -> Option<Value> {
        let found = self.children().into_iter().find(|child| child.kind == kind && child.name == name);
        found.map(|child| child.object)
    }

    /// The only child of a kind.
    fn only(&self, kind: Kind) -> Option<Value> {
        let name = self.gateway.metadata.name.clone().unwrap();
        self.child(kind, &name)
    }
}

#[track_caller]
fn assert_is_as_in_file(name: &str, children: &[Child]) {
    let documents: Vec<_> =
        children.iter().map(|child| serde_saphyr::to_string(&child.object).unwrap()).collect();
    let text = documents.join("---\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controller/build/tests/golden").join(name);
    if env::var_os(WRITE).is_some_and(|value| value == "write") {
        fs::write(&path, &text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(held == text, "{name} differs: run again with {WRITE}=write and look at the difference");
}

#[test]
fn as_little_as_there_can_be_becomes_these_objects() {
    assert_is_as_in_file("memory.yaml", &MEMORY.children());
}

#[test]
fn everything_at_once_becomes_these_objects() {
    assert_is_as_in_file("everything.yaml", &EVERYTHING.children());
}

#[test]
fn what_others_need_comes_first() {
    let children = EVERYTHING.children();
    let kinds: Vec<_> = children.iter().map(|child| child.kind).collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
}

#[test]
fn every_child_is_labelled_and_owned() {
    let owner = json!([{
        "apiVersion": "topicgateway.io/v1alpha1",
        "kind": "TopicGateway",
        "name": "market",
        "uid": "5b5ff1f6-0c5c-4d6e-9d1b-1d6f0e3f6a11",
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    for Child { kind, name, object, .. } in EVERYTHING.children() {
        let (metadata, resource) = (&object["metadata"], kind.resource());
        assert_eq!(metadata["ownerReferences"], owner, "{name}");
        assert_eq!(
            (&object["apiVersion"], &object["kind"]),
            (&json!(resource.api_version), &json!(resource.kind))
        );
        assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!(name), &json!("prices")));
        for (key, value) in names::labels("market") {
            assert_eq!(metadata["labels"][&key], value, "{name}: {key}");
        }
    }
}

#[test]
fn only_what_is_owned_is_in_an_object() {
    fn walk(value: &Value, path: &str) {
        match value {
            Value::Null => panic!("{path} is null"),
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} is empty");
                for item in items {
                    walk(item, path);
                }
            }
            Value::Object(fields) => {
                // An empty selector of namespaces means all of them.
                assert!(!fields.is_empty() || path.ends_with("amespaceSelector"), "{path} is empty");
                for (name, field) in fields {
                    walk(field, &format!("{path}.{name}"));
                }
            }
            _ => {}
        }
    }
    for given in [&MEMORY, &EVERYTHING] {
        for child in given.children() {
            walk(&child.object, &child.name);
            assert!(child.object.get("status").is_none(), "{}", child.name);
        }
    }
}

#[test]
fn only_the_session_key_is_made_once() {
    let children = EVERYTHING.children();
    let once: Vec<_> = children.iter().filter(|child| child.once).map(|child| child.name.as_str()).collect();
    assert_eq!(once, ["market-session-key"]);
}

#[test]
fn optional_kinds_that_the_cluster_lacks_are_left_out_and_named() {
    let mut given = EVERYTHING.clone();
    let with = given.children().len();
    assert_eq!(missing_apis(&given.gateway.spec, &given.optional), []);
    given.optional.clear();
    assert_eq!(given.children().len(), with - 3);
    assert_eq!(
        missing_apis(&given.gateway.spec, &given.optional),
        [Kind::HttpRoute, Kind::PodMonitor, Kind::PrometheusRule]
    );
}

#[test]
fn what_is_not_asked_for_is_not_missing() {
    let off = json!({"enabled": false});
    let given = Given::spec(&json!({"monitoring": {"podMonitor": off, "prometheusRule": off}}));
    assert_eq!(missing_apis(&given.gateway.spec, &BTreeSet::new()), []);
    assert!(given.only(Kind::PodMonitor).is_none() && given.only(Kind::PrometheusRule).is_none());
}

#[test]
fn a_budget_is_only_for_several_pods() {
    let has = |spec| Given::spec(&spec).only(Kind::PodDisruptionBudget).is_some();
    let scaled = |min: i32| json!({"autoscaling": {"minReplicas": min, "maxReplicas": 9}});
    assert!(!has(json!({})));
    assert!(has(json!({"replicas": 2})));
    assert!(!has(scaled(1)));
    assert!(has(scaled(2)));
}

#[test]
fn without_a_wait_before_the_end_there_is_no_hook() {
    let given = Given::spec(&json!({"drain": {"preStopSeconds": 0, "windowSeconds": 7}}));
    let deployment = given.only(Kind::Deployment).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert!(pod["containers"][0].get("lifecycle").is_none());
    assert_eq!(pod["terminationGracePeriodSeconds"], 37);
}

#[test]
fn an_ingress_leads_to_the_service() {
    let ingress = json!({
        "className": "nginx",
        "host": "a.example.com",
        "tlsSecretName": "tls",
        "annotations": {"example.com/timeout": "3600"},
    });
    let object = Given::spec(&json!({"ingress": ingress})).only(Kind::Ingress).unwrap();
    let backend = json!({"service": {"name": "trial", "port": {"name": "ws"}}});
    assert_eq!(
        object["spec"],
        json!({
            "ingressClassName": "nginx",
            "rules": [{"host": "a.example.com", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": backend}
            ]}}],
            "tls": [{"hosts": ["a.example.com"], "secretName": "tls"}],
        })
    );
    assert_eq!(object["metadata"]["annotations"], json!({"example.com/timeout": "3600"}));
}

#[test]
fn a_policy_lets_the_whole_cluster_scrape_unless_told_otherwise() {
    let policy = Given::spec(&json!({"networkPolicy": {"enabled": true}})).only(Kind::NetworkPolicy).unwrap();
    let [clients, admin] = policy["spec"]["ingress"].as_array().unwrap().as_slice() else {
        panic!("{policy}")
    };
    assert_eq!(clients, &json!({"ports": [{"protocol": "TCP", "port": 8080}]}));
    assert_eq!(admin["from"][0], json!({"namespaceSelector": {}}));
    // Topics in memory need nobody but DNS.
    assert_eq!(policy["spec"]["egress"].as_array().unwrap().len(), 1);
}

#[test]
fn pods_send_traces_where_the_controller_does_and_a_policy_lets_them() {
    let mut given = Given::spec(&json!({"networkPolicy": {"enabled": true}}));
    let container = |given: &Given| {
        given.only(Kind::Deployment).unwrap()["spec"]["template"]["spec"]["containers"][0].take()
    };
    assert!(container(&given).get("env").is_none());
    let told =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"), ("OTEL_TRACES_SAMPLER", "always_off")];
    given.environment = told.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let env = container(&given)["env"].take();
    let who = "k8s.namespace.name=default,k8s.deployment.name=trial,k8s.pod.name=$(POD_NAME)";
    assert_eq!(env[0]["valueFrom"], json!({"fieldRef": {"fieldPath": "metadata.name"}}));
    assert_eq!(env[1], json!({"name": "OTEL_RESOURCE_ATTRIBUTES", "value": who}));
    assert_eq!(env[2], json!({"name": told[0].0, "value": told[0].1}));
    assert_eq!(env[3], json!({"name": told[1].0, "value": told[1].1}));
    let policy = given.only(Kind::NetworkPolicy).unwrap();
    assert_eq!(policy["spec"]["egress"][1]["ports"], json!([{"protocol": "TCP", "port": 4318}]));
}

#[test]
fn a_resource_that_no_api_server_gave_is_refused() {
    let mut given = MEMORY.clone();
    given.gateway.metadata.uid = None;
    assert_eq!(given.build().unwrap_err().reason, Reason::InvalidSpec);
}

#[test]
fn a_secret_that_was_not_looked_up_is_told() {
    let given = Given { secrets: Secrets::default(), ..EVERYTHING.clone() };
    assert_eq!(given.build().unwrap_err().reason, Reason::SecretNotFound);
}

#[test]
fn secrets_are_never_printed() {
    let given = &*EVERYTHING;
    let shown = format!("{:?} {:?}", given.children(), given.key);
    // `creds` and the key in base64, and the key as a list.
    for secret in ["Y3JlZHM", "BwcHBw", "7, 7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn without_the_values_of_secrets_only_their_copy_is_left_out() {
    let names = |children: Vec<Child>| children.into_iter().map(|child| (child.kind, child.name));
    let whole: BTreeSet<_> = names(MEMORY.children()).collect();
    let rest: BTreeSet<_> = names(MEMORY.build_without()).collect();
    let left_out: Vec<_> = whole.difference(&rest).cloned().collect();
    let name = MEMORY.gateway.metadata.name.clone().unwrap();
    assert_eq!(left_out, [(Kind::Secret, crate::controller::names::secrets(&name))]);
    assert!(rest.is_subset(&whole));
}
