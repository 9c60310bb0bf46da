//! What pods tell. No pod runs here: each gets an address where the test answers in its place.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Controller, Namespace, SLOW, gateway};
use crate::support::wait_for;

/// Answers on the admin port in place of a pod, for as long as the process lives.
struct Pod {
    address: Ipv4Addr,
    report: Arc<Mutex<Value>>,
}

impl Pod {
    fn new(connections: u64) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // Every address of 127.0.0.0/8 is this machine's own; the port is the same for all pods.
        let third = u8::try_from(std::process::id() % 250).unwrap();
        let address = Ipv4Addr::new(127, 77, third, NEXT.fetch_add(1, Ordering::Relaxed));
        let listener = TcpListener::bind(SocketAddr::from((address, 9090))).unwrap();
        let report = Arc::new(Mutex::new(json!({
            "generation": 1, "connections": connections, "subscriptions": 2 * connections,
            "backboneConnected": true, "draining": false,
        })));
        let told = report.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let body = told.lock().unwrap().to_string();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        Self { address, report }
    }

    /// Lets a pod of the cluster run at this address.
    fn run(&self, namespace: &Namespace, pod: &str) {
        // Since long: a Deployment takes a pod for available some seconds after it is ready.
        let condition =
            |name| json!({"type": name, "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"});
        let ready = json!([condition("Ready"), condition("ContainersReady")]);
        let address = self.address.to_string();
        let status =
            json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready});
        let patch = json!({"status": status}).to_string();
        namespace.kubectl(&["patch", pod, "--subresource=status", "--type=merge", "--patch", &patch]);
    }
}

/// The names of so many pods, as `pod/NAME`.
fn pods(namespace: &Namespace, count: usize) -> Vec<String> {
    wait_for(&format!("{count} pods"), || {
        let names = namespace.kubectl(&["get", "pods", "--output=name"]);
        let names: Vec<_> = names.lines().map(str::to_owned).collect();
        (names.len() == count).then_some(names)
    })
}

/// Two running pods of the gateway `m`, with so many connections.
fn two_running(namespace: &Namespace, connections: [u64; 2]) -> [(Pod, String); 2] {
    namespace.apply(&gateway(json!({"replicas": 2})));
    let names = pods(namespace, 2);
    let running = connections.map(Pod::new);
    for (pod, name) in running.iter().zip(&names) {
        pod.run(namespace, name);
    }
    let [first, second] = running;
    [(first, names[0].clone()), (second, names[1].clone())]
}

#[test]
fn what_pods_tell_is_summed_up_in_the_status() {
    let namespace = Namespace::new("report");
    let _controller = Controller::start(&namespace);
    let [(first, _), _] = two_running(&namespace, [120, 3_456]);
    namespace.wait_condition_long(SLOW, "Ready", "True", "AllReplicasReady");
    // They are asked when they turn ready, and not just now and then.
    let soon = Duration::from_secs(5);
    let found = namespace.wait_long(soon, "tgw/m", |it| it["status"]["connections"] == 3_600);
    assert_eq!(
        (&found["status"]["subscriptions"], &found["status"]["configGeneration"]),
        (&json!(7_200), &json!(1))
    );
    namespace.wait_condition_long(soon, "BackboneConnected", "True", "Connected");
    first.report.lock().unwrap()["backboneConnected"] = json!(false);
    namespace.wait_condition_long(SLOW, "BackboneConnected", "False", "NotConnected");
}

#[test]
fn pods_are_told_of_a_new_configuration() {
    let namespace = Namespace::new("told");
    let _controller = Controller::start(&namespace);
    let [(_, name), _] = two_running(&namespace, [1, 1]);
    namespace.wait_condition_long(SLOW, "Ready", "True", "AllReplicasReady");
    let annotation = |it: &Value| it["metadata"]["annotations"]["topicgateway.io/config-generation"].clone();
    assert_eq!(annotation(&namespace.find(&name).unwrap()), Value::Null);
    namespace.apply(&gateway(json!({"replicas": 2, "heartbeatSeconds": 10})));
    let told = namespace.wait(&name, |it| annotation(it).as_str().is_some_and(|text| text.starts_with("2.")));
    // The pods go on to tell of the first generation: they are told again.
    namespace.wait_long(SLOW, &name, |it| annotation(it) != annotation(&told));
}

#[test]
fn the_emptiest_pod_goes_first() {
    let namespace = Namespace::new("emptiest");
    let _controller = Controller::start(&namespace);
    let [(_, full), (_, empty)] = two_running(&namespace, [900, 2]);
    namespace.wait_condition_long(SLOW, "Ready", "True", "AllReplicasReady");
    namespace.kubectl(&["scale", "tgw/m", "--replicas=1"]);
    let left = pods(&namespace, 1);
    assert_eq!(left, [full.as_str()], "{empty} has fewer connections");
    let cost = namespace.find(&full).unwrap()["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"].clone();
    assert_eq!(cost, "900");
}

#[test]
fn what_a_pod_rejects_is_given_time_before_somebody_is_called() {
    let namespace = Namespace::new("rejecting");
    let _controller = Controller::start(&namespace);
    let [(pod, _), _] = two_running(&namespace, [1, 1]);
    namespace.wait_condition_long(SLOW, "Ready", "True", "AllReplicasReady");
    pod.report.lock().unwrap()["rejected"] =
        json!({"generation": 2, "message": "Secret \"s\" is not there yet"});
    namespace.apply(&gateway(json!({"replicas": 2, "heartbeatSeconds": 10})));
    let message = namespace.wait_condition("Reconciling", "True", "Reloading");
    assert!(message.starts_with("Generation 2 is yet to be loaded by"), "{message}");
    namespace.wait("tgw/m", |it| {
        let message = super::condition_of(it, "Ready")["message"].clone();
        message.as_str().unwrap().contains("Secret \"s\" is not there yet")
    });
    namespace.wait_condition("Stalled", "False", "Reloading");
}
