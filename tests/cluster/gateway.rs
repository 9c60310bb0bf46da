//! A `TopicGateway` of a namespace, seen from outside.

use std::{env, fs, net::SocketAddr};

use serde_json::{Value, json};

use crate::{
    cluster::{path, wait_for},
    namespace::Namespace,
    support::{NatsClient, try_get},
};

/// A file of `examples/`, with the image of NATS that the cluster has.
#[track_caller]
pub(crate) fn example(file: &str) -> String {
    let text = fs::read_to_string(path(&format!("examples/{file}"))).unwrap();
    match env::var("TOPIC_GATEWAY_NATS_IMAGE") {
        Ok(image) => text.replace("image: nats:2.12", &format!("image: {image}")),
        Err(_) => text,
    }
}

/// The NATS server of the quick start, without its gateway.
#[track_caller]
pub(crate) fn nats() -> String {
    let quickstart = example("quickstart.yaml");
    let (_, rest) = quickstart.split_once("\n---\n").expect("the gateway stands first");
    rest.to_owned()
}

/// The same with JetStream, whose streams are kept for as long as the pod.
pub(crate) fn nats_with_streams() -> String {
    let more = [
        ("\"--http_port=8222\"", "\"--http_port=8222\", \"--jetstream\", \"--store_dir=/streams\""),
        (
            "        ports:\n",
            "        volumeMounts:\n        - {name: streams, mountPath: /streams}\n        ports:\n",
        ),
        ("      containers:\n", "      volumes:\n      - {name: streams, emptyDir: {}}\n      containers:\n"),
    ];
    changed(nats(), &more)
}

/// A text with other passages in the place of these, each of which must be there.
#[track_caller]
pub(crate) fn changed(text: String, passages: &[(&str, &str)]) -> String {
    passages.iter().fold(text, |text, (place, with)| {
        assert!(text.contains(place), "no {place:?} in {text}");
        text.replacen(place, with, 1)
    })
}

/// A `TopicGateway` on this NATS server, open to everybody, with these fields beside.
pub(crate) fn open(name: &str, more: Value) -> String {
    let mut spec = json!({
        "backbone": {"nats": {"servers": ["nats://nats:4222"]}},
        "authentication": {"anonymous": "Allow"},
        "authorization": [{"subscribe": [">"], "publish": [">"]}],
        "drain": {"windowSeconds": 2, "preStopSeconds": 2},
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let (version, kind) = ("topicgateway.io/v1alpha1", "TopicGateway");
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

/// One of the namespace's `TopicGateway`s.
#[derive(Clone, Copy)]
pub(crate) struct Gateway<'a> {
    namespace: &'a Namespace,
    name: &'static str,
}

impl<'a> Gateway<'a> {
    /// It need not be there yet.
    pub(crate) fn new(namespace: &'a Namespace, name: &'static str) -> Self {
        Self { namespace, name }
    }

    /// The resource.
    #[track_caller]
    pub(crate) fn resource(&self) -> Value {
        self.namespace.get(&format!("tgw/{}", self.name))
    }

    /// Changes its spec.
    #[track_caller]
    pub(crate) fn edit(&self, spec: Value) {
        self.namespace.patch(&format!("tgw/{}", self.name), json!({"spec": spec}));
    }

    /// A condition.
    #[track_caller]
    pub(crate) fn condition(&self, kind: &str) -> Option<Value> {
        let resource = self.resource();
        let conditions = resource["status"]["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind).cloned()
    }

    /// Waits until a condition has this status and reason, for the newest generation; gives its message.
    #[track_caller]
    pub(crate) fn wait_for_condition(&self, kind: &str, status: &str, reason: &str) -> String {
        wait_for(&format!("{}: {kind} is {status} for {reason}", self.name), || {
            let generation = &self.resource()["metadata"]["generation"];
            let found = self.condition(kind).unwrap_or_default();
            let as_wanted = found["status"] == status && found["reason"] == reason;
            if as_wanted && found["observedGeneration"] == *generation {
                Ok(found["message"].as_str().unwrap().to_owned())
            } else {
                Err(found.to_string())
            }
        })
    }

    /// Waits until every wanted pod of the newest generation serves and no other is left.
    #[track_caller]
    pub(crate) fn wait_until_ready(&self, replicas: usize) {
        self.wait_for_condition("Ready", "True", "AllReplicasReady");
        wait_for(&format!("{} has {replicas} pods", self.name), || {
            let pods = self.pods();
            if pods.len() == replicas { Ok(()) } else { Err(pods.join(" ")) }
        });
    }

    fn selector(&self) -> String {
        let name = "app.kubernetes.io/name=topic-gateway";
        format!("{name},app.kubernetes.io/instance={},app.kubernetes.io/component=gateway", self.name)
    }

    /// Its pods as objects, those that go away included.
    #[track_caller]
    pub(crate) fn pod_objects(&self) -> Vec<Value> {
        self.namespace.list("pods", &self.selector())
    }

    /// The names of its pods, those that go away included, in order.
    #[track_caller]
    pub(crate) fn pods(&self) -> Vec<String> {
        let pods = self.pod_objects();
        let mut names: Vec<_> =
            pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Waits until all its pods, so many, say this of themselves.
    #[track_caller]
    pub(crate) fn wait_for_reports(&self, replicas: usize, what: &str, says: impl Fn(&Value) -> bool) {
        wait_for(&format!("all pods {what}"), || {
            let reports: Vec<_> = self.pod_objects().iter().map(report).collect();
            let count = reports.iter().flatten().filter(|report| says(report)).count();
            if count == replicas { Ok(()) } else { Err(format!("{reports:?}")) }
        });
    }

    /// Everything of these kinds that has its label: what the controller has made of it, and the pods.
    #[track_caller]
    pub(crate) fn children(&self, kinds: &str) -> Vec<String> {
        let objects = self.namespace.list(kinds, &self.selector());
        let title = |object: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
        };
        objects.iter().map(title).collect()
    }

    /// The address of its Service.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        address(self.namespace, self.name)
    }

    /// The WebSocket URL of its Service.
    #[track_caller]
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/ws", self.address())
    }
}

/// Where a Service is reached: its first port.
#[track_caller]
pub(crate) fn address(namespace: &Namespace, service: &str) -> SocketAddr {
    let spec = namespace.get(&format!("service/{service}"))["spec"].take();
    let port = &spec["ports"][0]["port"];
    format!("{}:{port}", spec["clusterIP"].as_str().unwrap()).parse().unwrap()
}

/// What a pod of a gateway says of itself on its admin port.
pub(crate) fn report(pod: &Value) -> Option<Value> {
    let address: SocketAddr = format!("{}:9090", pod["status"]["podIP"].as_str()?).parse().ok()?;
    serde_json::from_str(&try_get(address, "/status")?.body).ok()
}

/// Waits until a Deployment's pods are available.
#[track_caller]
pub(crate) fn wait_until_available(namespace: &Namespace, deployment: &str) {
    namespace.kubectl(&["rollout", "status", &format!("deployment/{deployment}"), "--timeout=90s"]);
}

/// A publisher on the NATS server behind a Service.
#[track_caller]
pub(crate) fn publisher(namespace: &Namespace, service: &str, credentials: Value) -> NatsClient {
    NatsClient::connect(address(namespace, service), credentials)
}
