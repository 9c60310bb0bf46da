//! Pods by a query, with `examples/autoscaling-keda.yaml`: KEDA asks Prometheus, which scrapes the pods as their
//! `PodMonitor` says, and the autoscaler that KEDA makes scales the `TopicGateway`. `tests/run autoscaling` brings a
//! cluster with KEDA in it, the other tiers leave this out.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    audience::{Order, Size, resource},
    cluster::{shared, wait_for, wait_within},
    crowd::Crowd,
    gateway::{Gateway, changed, example, nats_with_streams, report, wait_until_available},
    namespace::Namespace,
    prometheus::Prometheus,
    watched::Watched,
};

/// Connections per pod that are aimed at.
const AIM: &str = "60";
/// Who follows topics and publishes all the time, judged by the checker; a publisher has the last connection.
const FOLLOWERS: usize = 40;
const WATCHED: u64 = FOLLOWERS as u64 + 1;
/// Who comes so that pods have to come, and leaves so that they have to go.
const VISITORS: usize = 150;
/// Who comes to those pods as well, and stays.
const STAYING: usize = 10;
/// The least that the example wants, and what all of these need: a hundred and ninety at sixty a pod.
const LEAST: usize = 2;
const MOST: usize = 4;
/// Over which a pod that goes away spreads the closes of its connections.
const DRAIN_SECONDS: u64 = 4;
/// How much later than it was told a client may be back.
const MARGIN: Duration = Duration::from_secs(10);
/// For whatever the autoscaler does: it looks every 15 s.
const DECIDED: Duration = Duration::from_mins(3);

#[test]
fn pods_come_with_connections_and_the_emptiest_go_when_these_leave_and_nobody_loses_a_message() {
    let _cluster = shared();
    let namespace = Namespace::new("by-query");
    let gateway = as_the_example_says(&namespace);
    let prometheus = asked_by_keda(&namespace, gateway);
    let pods = Pods { gateway, prometheus };
    let size = Size { rate: 100.0, ..Size::new(0, 1, FOLLOWERS) };
    let watched = Watched::gather(&namespace, gateway, size, false);

    let mut visitors = Crowd::new();
    visitors.join(VISITORS, &gateway.url(), &["prices.btc"], None);
    pods.wait_until_there_are(MOST);
    visitors.wait_until_attached();
    visitors.assert_nobody_was_closed();
    assert_eq!(watched.audience.crowd.tally.of("resumed"), 0, "pods that come disturb nobody");

    let mut staying = Crowd::new();
    staying.join(STAYING, &gateway.url(), &["prices.btc"], None);
    staying.wait_until_attached();
    spread(&watched);

    a_prometheus_that_knows_nothing_takes_no_pod_away(&namespace, &pods);

    drop(visitors);
    let everybody = WATCHED + STAYING as u64;
    let (mut on_pods_that_went, ended) = (0, ends(&watched));
    for left in (LEAST..MOST).rev() {
        on_pods_that_went += pods.wait_until_the_emptiest_goes();
        pods.wait_until_there_are(left);
        pods.wait_until_connected(everybody);
    }
    staying.wait_until_attached();
    let led_over = staying.assert_drained_well(MARGIN) as u64;
    wait_for("everybody of a pod that went, and nobody else, was led over", || {
        let moved = led_over + ends(&watched) - ended;
        // The publisher is not counted; it may have been on each of the pods.
        let publisher = (MOST - LEAST) as u64;
        let as_wanted = on_pods_that_went > 0 && (moved..=moved + publisher).contains(&on_pods_that_went);
        if as_wanted { Ok(()) } else { Err(format!("{moved} of {on_pods_that_went}")) }
    });
    println!("{on_pods_that_went} were on the pods that went");
    watched.assert_nothing_was_lost(&namespace);
}

/// The example's gateway, on a stream and with what the audience needs beside it, as many pods as it wants at least.
fn as_the_example_says(namespace: &Namespace) -> Gateway<'_> {
    namespace.apply(&nats_with_streams());
    wait_until_available(namespace, "nats");
    let of_here = format!("namespace=\"{}\"", namespace.name());
    let passages = [
        ("http://prometheus.monitoring:9090", &*format!("http://prometheus.{}:9090", namespace.name())),
        ("namespace=\"default\"", &of_here),
        ("threshold: \"20000\"", &*format!("threshold: \"{AIM}\"")),
        // Three looks of the autoscaler: one of them may find nothing, and the next a Prometheus that has not asked
        // all pods yet.
        ("stabilizationWindowSeconds: 300", "stabilizationWindowSeconds: 45"),
        // Until then a pod that goes is gone, and its clients are on others.
        ("periodSeconds: 60", "periodSeconds: 45"),
    ];
    let more = resource("nats://nats:4222", DRAIN_SECONDS).set("drain.preStopSeconds", json!(2)).yaml();
    let (more, secrets) = more.split_once("\n---\n").expect("the gateway, and a Secret");
    namespace.apply(secrets);
    namespace.apply(&changed(example("autoscaling-keda.yaml"), &passages));
    let gateway = Gateway::new(namespace, "queried");
    gateway.edit(beside_the_own(&gateway.resource()["spec"], more));
    wait_for("KEDA raises the pods to the least", || match &gateway.resource()["spec"]["replicas"] {
        replicas if *replicas == LEAST => Ok(()),
        replicas => Err(replicas.to_string()),
    });
    gateway.wait_until_ready(LEAST);
    gateway.wait_for_reports(LEAST, "have found the stream", |pod| pod["feed"] == "RePublish");
    gateway
}

/// The spec of another resource, but with the rights and the subjects of both.
fn beside_the_own(own: &Value, other: &str) -> Value {
    let mut spec = serde_json::from_str::<Value>(other).unwrap()["spec"].take();
    for list in ["/authorization", "/backbone/nats/subjects"] {
        let own = own.pointer(list).and_then(Value::as_array).unwrap().clone();
        spec.pointer_mut(list).and_then(Value::as_array_mut).unwrap().extend(own);
    }
    spec
}

/// A Prometheus of this machine which KEDA reaches by the name of a Service, and of which it has the connections.
fn asked_by_keda<'a>(namespace: &'a Namespace, gateway: Gateway<'a>) -> Prometheus<'a> {
    let prometheus = Prometheus::start_on(namespace, "queried", own_address(gateway.address()));
    let (address, port) = (prometheus.address().ip(), prometheus.address().port());
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "prometheus"},
        "spec": {"ports": [{"name": "http", "port": 9090}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "prometheus", "labels": {"kubernetes.io/service-name": "prometheus"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "http", "port": port}],
    });
    namespace.apply(&format!("{service}\n---\n{slice}"));
    wait_until_the_autoscaler_is_active(namespace, "True");
    namespace.kubectl(&["wait", "scaledobject/queried", "--for=condition=Ready", "--timeout=60s"]);
    prometheus
}

/// Waits until the autoscaler has a metric to act on (`True`), or has none.
fn wait_until_the_autoscaler_is_active(namespace: &Namespace, active: &str) {
    wait_within(&format!("ScalingActive is {active}"), DECIDED, || {
        let status = namespace.get("hpa/keda-hpa-queried")["status"].take();
        let conditions = status["conditions"].as_array();
        let as_wanted = |found: &Value| found["type"] == "ScalingActive" && found["status"] == active;
        if conditions.into_iter().flatten().any(as_wanted) { Ok(()) } else { Err(status.to_string()) }
    });
}

fn a_prometheus_that_knows_nothing_takes_no_pod_away(namespace: &Namespace, pods: &Pods<'_>) {
    pods.prometheus.lose_pods();
    wait_until_the_autoscaler_is_active(namespace, "False");
    pods.wait_until_there_are(MOST);
    wait_until_the_autoscaler_is_active(namespace, "True");
}

/// The address of this machine that a way to there begins with, and so the one by which it is reached from there.
fn own_address(there: SocketAddr) -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent.
    socket.connect(there).unwrap();
    socket.local_addr().unwrap().ip()
}

/// Breaks the connections of all followers, who come back and so to all pods.
fn spread(watched: &Watched) {
    let crowd = &watched.audience.crowd;
    (0..crowd.len()).for_each(|number| crowd.order(number, Order::Cut(Duration::ZERO)));
    wait_for("all followers are back", || {
        let late = crowd.wait_until_at(&BTreeMap::new(), Duration::ZERO);
        if ends(watched) == FOLLOWERS as u64 && late.is_empty() {
            Ok(())
        } else {
            Err(format!("{}; {late:?}", crowd.tally))
        }
    });
}

/// How many connections of followers have ended, and were resumed where that is said.
fn ends(watched: &Watched) -> u64 {
    let tally = &watched.audience.crowd.tally;
    let of_streams: u64 = tally.beginning("stream closed").iter().map(|(_, count)| count).sum();
    tally.of("resumed") + of_streams
}

/// The pods of the gateway, of which Prometheus is told whenever they are looked at, as by its operator.
struct Pods<'a> {
    gateway: Gateway<'a>,
    prometheus: Prometheus<'a>,
}

impl Pods<'_> {
    /// Each pod's name, with whether it goes and how many are connected to it.
    fn look(&self) -> BTreeMap<String, (bool, Option<u64>)> {
        self.prometheus.find_pods();
        let pod = |pod: &Value| {
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            let connections = report(pod).and_then(|report| report["connections"].as_u64());
            (name, (pod["metadata"]["deletionTimestamp"].is_string(), connections))
        };
        self.gateway.pod_objects().iter().map(pod).collect()
    }

    /// Waits until the autoscaler wants so many, and so many serve.
    fn wait_until_there_are(&self, replicas: usize) {
        wait_within(&format!("{replicas} pods"), DECIDED, || {
            let (wanted, pods) = (self.gateway.resource()["spec"]["replicas"].clone(), self.look());
            let serve = pods.values().all(|(goes, connections)| !goes && connections.is_some());
            let as_wanted = wanted == replicas && pods.len() == replicas && serve;
            if as_wanted { Ok(()) } else { Err(format!("{wanted} are wanted: {pods:?}")) }
        });
        self.gateway.wait_until_ready(replicas);
    }

    /// Waits until so many are connected to all pods together.
    fn wait_until_connected(&self, everybody: u64) {
        wait_for(&format!("{everybody} are connected"), || {
            let pods = self.look();
            let connected: u64 = pods.values().filter_map(|(_, connections)| *connections).sum();
            if connected == everybody { Ok(()) } else { Err(format!("{pods:?}")) }
        });
    }

    /// Waits until a pod goes, which has to be the one that had the fewest connections; gives how many.
    fn wait_until_the_emptiest_goes(&self) -> u64 {
        let mut before = BTreeMap::new();
        let gone = wait_within("a pod goes", DECIDED, || {
            let pods = self.look();
            if let Some((name, _)) = pods.iter().find(|(_, (goes, _))| *goes) {
                return Ok(name.clone());
            }
            before = pods;
            Err(format!("{before:?}"))
        });
        println!("{gone} goes, of {before:?}");
        let fewest = before.values().filter_map(|(_, connections)| *connections).min();
        assert_eq!(before[&gone].1, fewest, "the emptiest of {before:?}");
        fewest.unwrap()
    }
}
