//! What happens to a whole API server: each test has one of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Controller, SLOW, condition_of, gateway, named};
use crate::support::{Process, wait_until};

/// An API server and its etcd, which end with the test.
pub(super) struct Server(PathBuf);

impl Server {
    fn start() -> Self {
        Self::start_with(&["--api-only"])
    }

    /// With the controllers that make pods of Deployments.
    pub(super) fn with_controllers() -> Self {
        Self::start_with(&["--api-only", "--controllers"])
    }

    fn start_with(options: &[&str]) -> Self {
        let state = tempfile::Builder::new().prefix("topic-gateway-api").tempdir().unwrap().keep();
        let server = Self(state);
        server.script("up", options);
        server
    }

    /// A file in the server's folder, which goes with it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The definitions of the Gateway API and of the Prometheus operator.
    pub(super) fn define_foreign(&self) {
        for project in ["gateway-api", "prometheus-operator"] {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/crds");
            let output = self.command(script).arg(project).output().unwrap();
            assert!(output.status.success(), "{project}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[track_caller]
    fn script(&self, name: &str, options: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster").join(name);
        let output = Command::new(script).args(options).arg(&self.0).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.0.join("admin.kubeconfig"));
        command
    }

    fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        let output = self.command("kubectl").args(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    #[track_caller]
    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args).unwrap_or_else(|error| panic!("kubectl {args:?}: {error}"))
    }

    #[track_caller]
    fn apply(&self, object: &Value) {
        self.apply_from("object.json", "default", object);
    }

    /// Applies an object in a namespace by a file of this name.
    #[track_caller]
    pub(super) fn apply_from(&self, file: &str, namespace: &str, object: &Value) {
        let file = self.path(file);
        fs::write(&file, object.to_string()).unwrap();
        self.kubectl(&["--namespace", namespace, "apply", "-f", file.to_str().unwrap()]);
    }

    pub(super) fn define(&self) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", folder]);
        // Until the API server has written any condition, `kubectl wait` fails at once.
        let wait = ["wait", "--for=condition=Established", "--timeout=10s", "-f", folder];
        wait_until("the definition is served", || self.try_kubectl(&wait).is_ok());
    }

    /// The process id of the API server, and how it was started.
    fn api_server(&self) -> (String, Command) {
        let pid = fs::read_to_string(self.0.join("apiserver.pid")).unwrap().trim().to_owned();
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let mut words = line.trim_end_matches('\0').split('\0');
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        (pid, command)
    }

    fn has(&self, object: &str) -> bool {
        self.try_kubectl(&["get", object]).is_ok()
    }

    /// A controller of the whole cluster.
    fn controller(&self) -> Controller {
        let mut command = Controller::command();
        command.env("KUBECONFIG", self.0.join("admin.kubeconfig"));
        Controller::spawn(&mut command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/down");
        let _ = Command::new(script).arg(&self.0).output();
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn without_the_definition_it_waits_and_says_why() {
    let server = Server::start();
    let mut controller = server.controller();
    wait_until("it says what is missing", || {
        let answer = controller.ready();
        answer.status == 503 && answer.body.contains("topic-gateway crd | kubectl apply")
    });
    assert!(!controller.process.ended());
    server.define();
    controller.wait_ready();
    server.apply(&gateway(json!({})));
    wait_until("there are gateways", || server.has("deployment/m"));
    server.kubectl(&["delete", "crd", "topicgateways.topicgateway.io", "--wait=false"]);
    wait_until("it is not ready any more", || controller.ready().status == 503);
    assert!(!controller.process.ended());
}

/// Lets the API server take a text where a resource has a number of seconds, and stores one.
fn poison(server: &Server, name: &str) {
    let heartbeat = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/heartbeatSeconds";
    let patch = json!([{"op": "replace", "path": heartbeat, "value": {"type": "string"}}]).to_string();
    server.kubectl(&["patch", "crd", "topicgateways.topicgateway.io", "--type=json", "--patch", &patch]);
    let poisoned = named(name, json!({"heartbeatSeconds": "often"}));
    wait_until("the API server takes it", || {
        let file = server.0.join("poisoned.json");
        fs::write(&file, poisoned.to_string()).unwrap();
        server.try_kubectl(&["apply", "-f", file.to_str().unwrap()]).is_ok()
    });
}

/// Waits until the resource tells what in it cannot be read.
#[track_caller]
fn wait_told(server: &Server, name: &str) {
    let flaw = "spec.heartbeatSeconds: must be an integer, is a text; write a whole number";
    wait_until(&format!("the conditions of {name} tell"), || {
        let gateway = server.kubectl(&["get", "tgw", name, "--output=json"]);
        let gateway: Value = serde_json::from_str(&gateway).unwrap();
        [("Ready", "False"), ("Stalled", "True")].into_iter().all(|(condition, status)| {
            let condition = condition_of(&gateway, condition);
            condition["status"] == status
                && condition["reason"] == "InvalidSpec"
                && condition["message"].as_str().unwrap().contains(flaw)
                && condition["observedGeneration"] == gateway["metadata"]["generation"]
        })
    });
    wait_until(&format!("an Event on {name} tells"), || {
        let events = server.kubectl(&["get", "events.events.k8s.io", "--output=json"]);
        let events: Value = serde_json::from_str(&events).unwrap();
        events["items"].as_array().unwrap().iter().any(|event| {
            event["regarding"]["name"] == name
                && (&event["type"], &event["reason"]) == (&json!("Warning"), &json!("InvalidSpec"))
                && event["note"].as_str().unwrap().contains(flaw)
        })
    });
}

#[test]
fn a_resource_that_cannot_be_read_tells_so_and_stops_nobody() {
    let server = Server::start();
    server.define();
    // One is left of an old definition, the other comes by one that somebody has loosened.
    poison(&server, "old");
    server.define();
    let controller = server.controller();
    wait_told(&server, "old");
    poison(&server, "new");
    server.apply(&gateway(json!({})));
    wait_told(&server, "new");
    wait_until("the third has its gateways", || server.has("deployment/m"));
    wait_until("both are counted", || controller.sum("topicgateway_unreadable_resources", &[]) > 1.5);
    for name in ["old", "new"] {
        assert!(!server.has(&format!("deployment/{name}")));
        let mend = r#"[{"op": "remove", "path": "/spec/heartbeatSeconds"}]"#;
        server.kubectl(&["patch", "tgw", name, "--type=json", "--patch", mend]);
        wait_until("it has its gateways when it is mended", || server.has(&format!("deployment/{name}")));
        wait_until("it is stalled no more", || {
            let gateway = server.kubectl(&["get", "tgw", name, "--output=json"]);
            condition_of(&serde_json::from_str(&gateway).unwrap(), "Stalled")["status"] == "False"
        });
    }
}

#[test]
fn a_resource_that_slipped_past_the_rules_of_an_older_definition_is_told() {
    let server = Server::start();
    server.define();
    let rules = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/backbone/x-kubernetes-validations";
    let patch = json!([{"op": "remove", "path": rules}]).to_string();
    server.kubectl(&["patch", "crd", "topicgateways.topicgateway.io", "--type=json", "--patch", &patch]);
    let neither = gateway(json!({"backbone": {}}));
    wait_until("the API server takes it", || {
        let file = server.0.join("neither.json");
        fs::write(&file, neither.to_string()).unwrap();
        server.try_kubectl(&["apply", "-f", file.to_str().unwrap()]).is_ok()
    });
    let _controller = server.controller();
    wait_until("it is told", || {
        let gateway = server.kubectl(&["get", "tgw/m", "--output=json"]);
        let stalled = condition_of(&serde_json::from_str(&gateway).unwrap(), "Stalled");
        stalled["reason"] == "InvalidSpec"
            && stalled["message"]
                .as_str()
                .unwrap()
                .starts_with("spec.backbone: needs exactly one of memory and nats")
    });
}

#[test]
fn an_optional_api_that_comes_later_is_used() {
    let server = Server::start();
    server.define();
    let _controller = server.controller();
    server.apply(&gateway(json!({})));
    wait_until("there are gateways", || server.has("deployment/m"));
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "podmonitors.monitoring.coreos.com",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": "PodMonitor", "listKind": "PodMonitorList", "plural": "podmonitors", "singular": "podmonitor"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    server.apply(&definition);
    let end = Instant::now() + SLOW;
    while !server.has("podmonitor/m") {
        assert!(Instant::now() < end, "no PodMonitor");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_controller_outlives_its_api_server() {
    let server = Server::start();
    server.define();
    let mut command = Controller::command();
    command.env("KUBECONFIG", server.0.join("admin.kubeconfig")).args(["--leader-elect", "false"]);
    let mut controller = Controller::spawn(&mut command);
    server.apply(&gateway(json!({})));
    wait_until("there are gateways", || server.has("deployment/m"));
    let (pid, mut again) = server.api_server();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    wait_until("the API server is gone", || server.try_kubectl(&["get", "--raw", "/livez"]).is_err());
    // Longer than the controller waits before it tries again.
    thread::sleep(Duration::from_secs(6));
    assert!(!controller.process.ended());
    assert_eq!(controller.ready().status, 200);
    let _again = Process::spawn(&mut again);
    let end = Instant::now() + SLOW;
    while let Err(error) = server.try_kubectl(&["get", "--raw", "/readyz"]) {
        assert!(Instant::now() < end, "the API server does not come back: {error}");
        thread::sleep(Duration::from_millis(200));
    }
    server.apply(&named("n", json!({})));
    wait_until("it goes on", || server.has("deployment/n"));
}
