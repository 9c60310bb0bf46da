//! A namespace of a test's own.

use std::thread;

use serde_json::{Value, json};

use crate::{
    cluster::controller_logs,
    kubectl::{kubectl, try_kubectl},
};

/// A namespace that admits nothing beyond the restricted Pod Security profile. It is deleted with its contents at the
/// end; where the test has failed, what was in it is told first.
pub(crate) struct Namespace {
    name: &'static str,
}

impl Namespace {
    /// Makes it anew: what an earlier run has left goes first.
    #[track_caller]
    pub(crate) fn new(name: &'static str) -> Self {
        kubectl(&["delete", "namespace", name, "--ignore-not-found", "--wait", "--timeout=120s"], "");
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let metadata = json!({"name": name, "labels": labels});
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        kubectl(&["create", "-f", "-"], &object.to_string());
        Self { name }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Runs `kubectl` in it, which must succeed.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(&self.inside(arguments), "")
    }

    /// Runs `kubectl` in it.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        try_kubectl(&self.inside(arguments), "")
    }

    fn inside<'a>(&self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--namespace", self.name], arguments].concat()
    }

    /// Applies a file's text.
    #[track_caller]
    pub(crate) fn apply(&self, yaml: &str) {
        kubectl(&self.inside(&["apply", "--server-side", "-f", "-"]), yaml);
    }

    /// Merges a patch into a `TopicGateway`.
    #[track_caller]
    pub(crate) fn patch(&self, object: &str, patch: Value) {
        self.kubectl(&["patch", object, "--type=merge", "--patch", &patch.to_string()]);
    }

    /// An object (`kind/name`), if there is one.
    #[track_caller]
    pub(crate) fn find(&self, object: &str) -> Option<Value> {
        let text = self.kubectl(&["get", object, "--ignore-not-found", "--output=json"]);
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }

    /// An object (`kind/name`).
    #[track_caller]
    pub(crate) fn get(&self, object: &str) -> Value {
        self.find(object).unwrap_or_else(|| panic!("no {object} in {}", self.name))
    }

    /// The objects of these kinds with these labels.
    #[track_caller]
    pub(crate) fn list(&self, kinds: &str, selector: &str) -> Vec<Value> {
        let text = self.kubectl(&["get", kinds, "--selector", selector, "--output=json"]);
        let mut list: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    }

    fn tell(&self) {
        for command in [
            &["get", "tgw,deployments,pods,services", "--output=wide"][..],
            &["describe", "tgw"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["logs", "--selector=app.kubernetes.io/name=topic-gateway", "--tail=25", "--prefix"],
            &["logs", "--selector=app.kubernetes.io/name in (nats,desk-nats)", "--tail=15", "--prefix"],
        ] {
            let text = self.try_kubectl(command).unwrap_or_else(|error| error);
            eprintln!("--- {}: kubectl {}\n{text}", self.name, command.join(" "));
        }
        eprintln!("--- controller\n{}---", controller_logs());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell();
        }
        let _ = try_kubectl(&["delete", "namespace", self.name, "--wait=false"], "");
    }
}
