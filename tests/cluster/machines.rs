//! Nodes that are drained or lost, and an API server that is away. Each has the cluster alone. In a module of its own,
//! so that `tests/run` can leave it out, and say so, in a cluster that is not its own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{panicking, sleep},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    cluster::{alone, node, wait_for, wait_within},
    crowd::Crowd,
    gateway::{Gateway, nats, open, publisher, report},
    kubectl::{kubectl, try_kubectl},
    namespace::Namespace,
    support::NatsClient,
};

const MARGIN: Duration = Duration::from_secs(3);

/// NATS on node-a, where it stays out of what happens to the other node.
fn nats_on_node_a(tolerations: &Value) -> String {
    let more =
        format!("    spec:\n      nodeName: node-a\n      tolerations: {tolerations}\n      automount");
    nats().replace("    spec:\n      automount", &more)
}

/// What a cluster gives each pod by default, and this one makes 10 s: a node that is not heard of for less than
/// five minutes keeps its pods.
fn patient() -> Value {
    let of = |condition: &str| {
        let key = format!("node.kubernetes.io/{condition}");
        json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    };
    json!([of("not-ready"), of("unreachable")])
}

/// A gateway with a pod on each node and 30 clients.
fn on_both_nodes<'a>(
    namespace: &'a Namespace,
    name: &'static str,
    tolerations: &Value,
) -> (Gateway<'a>, Crowd) {
    namespace.apply(&nats_on_node_a(tolerations));
    let more = json!({"replicas": 2, "heartbeatSeconds": 5, "pod": {"tolerations": tolerations}});
    namespace.apply(&open(name, more));
    let gateway = Gateway::new(namespace, name);
    gateway.wait_until_ready(2);
    let mut nodes: Vec<_> = gateway.pod_objects().iter().map(node_of).collect();
    nodes.sort();
    assert_eq!(nodes, ["node-a", "node-b"], "pods are spread");
    let mut crowd = Crowd::new();
    crowd.join(30, &gateway.url(), &["prices.btc"], None);
    crowd.wait_until_attached();
    (gateway, crowd)
}

fn node_of(pod: &Value) -> String {
    pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned()
}

fn publish(nats: &mut NatsClient, number: u32) {
    nats.publish("prices.btc", number.to_string());
    nats.flush();
}

/// Makes the cluster whole again, whatever has happened to the test.
struct Mended<F: FnMut()>(F);

impl<F: FnMut()> Drop for Mended<F> {
    fn drop(&mut self) {
        if panicking() {
            // A second panic would end all the tests.
            let _ = catch_unwind(AssertUnwindSafe(&mut self.0));
        } else {
            (self.0)();
        }
    }
}

#[test]
fn a_node_is_drained_and_its_clients_are_led_over() {
    let _cluster = alone();
    let namespace = Namespace::new("drained");
    let (gateway, crowd) = on_both_nodes(&namespace, "moved", &json!([]));
    let _mended = Mended(|| {
        let _ = try_kubectl(&["uncordon", "node-b"], "");
    });
    kubectl(&["drain", "node-b", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s"], "");
    gateway.wait_until_ready(2);
    assert!(gateway.pod_objects().iter().all(|pod| node_of(pod) == "node-a"));
    crowd.wait_until_attached();
    let moved = crowd.assert_drained_well(MARGIN);
    assert!(moved > 0, "nobody was on node-b");
    assert!(crowd.closes().len() < 30, "those on node-a stay");
    crowd.forget();
    let mut nats = publisher(&namespace, "nats", json!({}));
    publish(&mut nats, 1);
    crowd.wait_until_received(|_| vec![json!(1)]);
}

#[test]
fn a_lost_node_takes_only_its_own_clients_and_they_are_let_in_elsewhere() {
    let _cluster = alone();
    let namespace = Namespace::new("lost");
    let (gateway, crowd) = on_both_nodes(&namespace, "halved", &json!([]));
    let of_node_a = |pod: &&Value| node_of(pod) == "node-a";
    let pods = gateway.pod_objects();
    let there = pods.iter().find(of_node_a).and_then(report).unwrap();
    let there = usize::try_from(there["connections"].as_u64().unwrap()).unwrap();
    let mut nats = publisher(&namespace, "nats", json!({}));

    let mended = Mended(|| {
        node(&["start", "node-b"]);
        wait_for("node-b is back", || {
            let ready = ["wait", "node/node-b", "--for=condition=Ready", "--timeout=1s"];
            try_kubectl(&ready, "").map(|_| ())
        });
    });
    node(&["stop", "node-b"]);
    // Nobody has noticed yet, and whoever is on the other node has every message.
    publish(&mut nats, 1);
    wait_for("clients of node-a have the message", || {
        let served = crowd.histories().into_iter().filter(|history| history.closes.is_empty());
        let having = served.filter(|history| history.received == [json!(1)]).count();
        if having >= there { Ok(()) } else { Err(format!("{having} of {there}")) }
    });
    // Once the node is known to be lost, its address is taken from the Service and its pod is replaced.
    let mut newcomers = Crowd::new();
    newcomers.join(10, &gateway.url(), &["prices.btc"], None);
    wait_within("newcomers are let in, and the pod is replaced", Duration::from_secs(90), || {
        let serving = gateway.pod_objects().iter().filter(|pod| of_node_a_ready(pod)).count();
        let attached = newcomers.attached();
        if attached == 10 && serving == 2 { Ok(()) } else { Err(format!("{attached} in, {serving} pods")) }
    });
    newcomers.assert_nobody_was_closed();
    drop(mended);
    gateway.wait_for_condition("Ready", "True", "AllReplicasReady");
}

fn of_node_a_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().any(|found| found["type"] == "Ready" && found["status"] == "True");
    ready && node_of(pod) == "node-a"
}

#[test]
fn an_api_server_that_is_away_is_not_noticed_by_clients_and_the_controller_catches_up() {
    let _cluster = alone();
    let namespace = Namespace::new("outage");
    let (gateway, crowd) = on_both_nodes(&namespace, "unmoved", &patient());
    let url = gateway.url();
    let mut nats = publisher(&namespace, "nats", json!({}));
    let mended = Mended(|| {
        node(&["start", "node-a", "kube-apiserver"]);
        wait_for("the API server is back", || try_kubectl(&["get", "--raw", "/readyz"], "").map(|_| ()));
    });
    node(&["stop", "node-a", "kube-apiserver"]);
    // Longer than the lease of the controller: it ends and is started anew by the kubelet. Also longer than the time
    // after which a node counts as lost: the kubelet that comes back last must not cost its clients their pod.
    for number in 0..60 {
        publish(&mut nats, number);
        crowd.wait_until_received(|_| vec![json!(number)]);
        sleep(Duration::from_secs(1));
    }
    let mut newcomers = Crowd::new();
    newcomers.join(10, &url, &["prices.btc"], None);
    newcomers.wait_until_attached();
    drop(mended);

    gateway.edit(json!({"limits": {"connections": 777}}));
    let generation = gateway.resource()["metadata"]["generation"].clone();
    // Kubelets come back by themselves with a back-off of their own, and bring the pods' files only then.
    wait_within("the controller is back at work", Duration::from_mins(3), || {
        let status = gateway.resource()["status"].take();
        if status["configGeneration"] == generation { Ok(()) } else { Err(status.to_string()) }
    });
    crowd.assert_nobody_was_closed();
    newcomers.assert_nobody_was_closed();
}
