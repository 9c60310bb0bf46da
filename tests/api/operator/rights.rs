//! What the chart lets the controller do is enough, and each of its rules is needed: the real controller runs with the
//! token of the chart's ServiceAccount, once with all rules and once without each.

use std::{collections::BTreeSet, fs, thread};

use serde_json::{Value, json};

use super::{Controller, alone::Server, children::CHILDREN, condition_of, named};
use crate::support::Process;

/// Kinds of children, as `kubectl get` takes them.
const KINDS: &str = "serviceaccount,secret,configmap,service,deployment,pdb,networkpolicy,hpa,ingress,httproute,\
    podmonitor,prometheusrule";
/// Children that, together with [`CHILDREN`], need every rule about children.
const MORE: [&str; 6] = [
    "networkpolicy.networking.k8s.io/m",
    "horizontalpodautoscaler.autoscaling/m",
    "ingress.networking.k8s.io/n",
    "httproute.gateway.networking.k8s.io/m",
    "podmonitor.monitoring.coreos.com/m",
    "prometheusrule.monitoring.coreos.com/m",
];

/// One controller with an account and a namespace of its own.
struct Trial<'a> {
    server: &'a Server,
    namespace: String,
    /// What the chart makes for the account: itself, its roles, their bindings.
    objects: Vec<Value>,
}

impl<'a> Trial<'a> {
    fn new(server: &'a Server, namespace: String) -> Self {
        server.kubectl(&["create", "namespace", &namespace]);
        let objects = rendered(server, &namespace);
        Self { server, namespace, objects }
    }

    /// Every rule, by role and place in it.
    fn rules(&self) -> Vec<(usize, usize)> {
        let roles = self.objects.iter().enumerate().filter(|(_, object)| object["kind"] == "Role");
        roles
            .flat_map(|(role, object)| {
                let count = object["rules"].as_array().unwrap().len();
                (0..count).map(move |rule| (role, rule))
            })
            .collect()
    }

    /// Grants what the chart does, but for one rule.
    fn grant(&self, without: Option<(usize, usize)>) {
        for (at, object) in self.objects.iter().enumerate() {
            let mut object = object.clone();
            if let Some((role, rule)) = without
                && role == at
            {
                object["rules"].as_array_mut().unwrap().remove(rule);
            }
            self.apply(&object);
        }
    }

    fn apply(&self, object: &Value) {
        let name = format!("{}.json", self.namespace);
        self.server.apply_from(&name, &self.namespace, object);
    }

    /// A controller that is the account.
    fn controller(&self) -> Controller {
        let account = self.objects.iter().find(|object| object["kind"] == "ServiceAccount").unwrap();
        let account = account["metadata"]["name"].as_str().unwrap();
        let token = self.kubectl(&["create", "token", account]);
        let access = self.server.kubectl(&["config", "view", "--raw", "--output=json"]);
        let mut access: Value = serde_json::from_str(&access).unwrap();
        access["users"][0]["user"] = json!({"token": token.trim()});
        let file = self.server.path(&format!("{}.kubeconfig", self.namespace));
        fs::write(&file, access.to_string()).unwrap();
        let mut command = Controller::command();
        command.args(["--namespace", &self.namespace, "--lease-namespace", &self.namespace]);
        command.args(["--lease-name", "trial-topic-gateway-controller"]);
        Controller::spawn(command.env("KUBECONFIG", file))
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.server.kubectl(&[&["--namespace", &self.namespace], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[arguments, &["--output=json"]].concat())).unwrap()
    }

    /// Declares what needs everything.
    fn declare(&self) {
        self.kubectl(&["create", "secret", "generic", "login", "--from-literal=token=first"]);
        let nats = json!({"servers": ["nats://n:4222"], "tokenSecretRef": {"name": "login", "key": "token"}});
        let most = json!({
            "replicas": 2,
            "backbone": {"nats": nats},
            "autoscaling": {"minReplicas": 2, "maxReplicas": 3},
            "networkPolicy": {"enabled": true},
            "route": {"parentRefs": [{"name": "front"}]},
        });
        self.apply(&named("m", most));
        self.apply(&named("n", json!({"ingress": {"host": "n.example.com"}})));
    }

    /// What is not as it should be yet.
    fn undone(&self, controller: &Controller) -> Vec<String> {
        let there = self.kubectl(&["get", KINDS, "--output=name"]);
        let there: BTreeSet<&str> = there.lines().collect();
        let missing = CHILDREN.into_iter().chain(MORE).filter(|child| !there.contains(child));
        let mut undone: Vec<String> = missing.map(|child| format!("no {child}")).collect();
        let gateway = self.json(&["get", "tgw/m"]);
        let condition = condition_of(&gateway, "ResolvedRefs");
        if condition["status"] != "True"
            || gateway["status"]["observedGeneration"] != gateway["metadata"]["generation"]
        {
            undone.push(format!("the status says {condition}"));
        }
        let events = self.json(&["get", "events.events.k8s.io"]);
        let about = |event: &&Value| event["regarding"]["kind"] == "TopicGateway";
        if !events["items"].as_array().unwrap().iter().any(|event| about(&event)) {
            undone.push("no Event".into());
        }
        if controller.ready().status != 200 {
            undone.push("not ready".into());
        }
        undone
    }

    #[track_caller]
    fn wait_until_done(&self, controller: &Controller) {
        let what = format!("{}: the controller does its work", self.namespace);
        super::wait_long(&what, || {
            let undone = self.undone(controller);
            if undone.is_empty() { Ok(()) } else { Err(undone.join("; ")) }
        });
    }
}

/// What the chart makes for its account, for one namespace.
fn rendered(server: &Server, namespace: &str) -> Vec<Value> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/topic-gateway");
    let values = format!("--set=rbac.aggregateClusterRoles=false,watchNamespaces={{{namespace}}}");
    let parts = ["--show-only=templates/rbac.yaml", "--show-only=templates/serviceaccount.yaml"];
    let output = server
        .command("helm")
        .args(["template", "trial", chart, "--namespace", namespace, &values])
        .args(parts)
        .output()
        .expect("helm is in PATH: run these tests by tests/run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap();
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

/// The words of a refusal by the API server that stand for a rule.
fn words(rule: &Value) -> Vec<String> {
    let resources = rule["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    resources
        .map(|name| if name.ends_with("finalizers") { "blockOwnerDeletion" } else { name }.into())
        .collect()
}

/// Whether somebody is told that a right is missing, and which.
fn tells_of(trial: &Trial<'_>, process: &Process, words: &[String]) -> bool {
    let told = process.output() + &trial.json(&["get", "tgw"])["items"].to_string();
    told.lines().any(|line| {
        let line = line.to_lowercase();
        line.contains("forbidden") && words.iter().any(|word| line.contains(&word.to_lowercase()))
    })
}

#[test]
fn the_rules_of_the_chart_are_enough_and_each_of_them_is_needed() {
    let server = Server::with_controllers();
    server.define();
    server.define_foreign();
    let rules = Trial::new(&server, "all".into()).rules();
    assert!(rules.len() > 10, "no rules were found: is the search still right?");
    thread::scope(|scope| {
        scope.spawn(|| all_rules_are_enough(&server));
        for (number, rule) in rules.into_iter().enumerate() {
            let server = &server;
            scope.spawn(move || the_rule_is_needed(server, number, rule));
        }
    });
}

/// Everything is made, told, taken away again, and pods are told of a rotated Secret.
fn all_rules_are_enough(server: &Server) {
    let trial = Trial::new(server, "enough".into());
    trial.grant(None);
    let controller = trial.controller();
    trial.declare();
    trial.wait_until_done(&controller);

    let pods = trial.json(&["get", "pods", "--selector=app.kubernetes.io/instance=m"]);
    let pod = pods["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
    let status =
        json!({"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}});
    let status = status.to_string();
    trial.kubectl(&["patch", "pod", &pod, "--subresource=status", "--type=merge", "--patch", &status]);
    let next = json!({"stringData": {"token": "second"}}).to_string();
    trial.kubectl(&["patch", "secret", "login", "--type=merge", "--patch", &next]);
    super::wait_long("the pod is told of the Secret", || {
        let annotations = trial.json(&["get", "pod", &pod])["metadata"]["annotations"].take();
        let told = annotations["topicgateway.io/config-generation"].is_string();
        if told { Ok(()) } else { Err(annotations.to_string()) }
    });

    let off = json!({"enabled": false});
    let fewer = json!({"spec": {
        "autoscaling": null, "networkPolicy": off, "route": null, "replicas": 1,
        "monitoring": {"podMonitor": off, "prometheusRule": off},
    }});
    trial.kubectl(&["patch", "tgw/m", "--type=merge", "--patch", &fewer.to_string()]);
    let n = json!({"spec": {"ingress": null}}).to_string();
    trial.kubectl(&["patch", "tgw/n", "--type=merge", "--patch", &n]);
    let kinds = "pdb,networkpolicy,hpa,ingress,httproute";
    super::wait_long("what is no longer wanted is gone", || {
        let left = trial.kubectl(&["get", kinds, "--output=name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let told = controller.process.output().to_lowercase();
    assert!(!told.contains("forbidden"), "{told}");
}

/// What is not there without a rule about optional kinds, which the controller can do without.
fn optional(rule: &Value) -> Option<Vec<String>> {
    let names = rule["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let child = |name: &str| {
        let group = rule["apiGroups"][0]
            .as_str()
            .filter(|group| group.starts_with("gateway.") || group.ends_with(".coreos.com"))?;
        Some(format!("no {}.{group}/m", name.strip_suffix('s')?))
    };
    names.map(child).collect()
}

/// Without the rule somebody is told which right is missing, and something is not done; with it, it is.
fn the_rule_is_needed(server: &Server, number: usize, rule: (usize, usize)) {
    let trial = Trial::new(server, format!("without-{number}"));
    let text = &trial.objects[rule.0]["rules"][rule.1];
    let words = words(text);
    trial.grant(Some(rule));
    let controller = trial.controller();
    trial.declare();
    super::wait_long(&format!("without {text} a refusal is told"), || {
        if tells_of(&trial, &controller.process, &words) { Ok(()) } else { Err(controller.process.output()) }
    });
    if let Some(without) = optional(text) {
        super::wait_long(&format!("without {text} all else is done, and an Event names the right"), || {
            let undone = trial.undone(&controller);
            let events = trial.json(&["get", "events.events.k8s.io"])["items"].to_string();
            let told = words.iter().all(|word| events.contains(&format!("may not list and watch {word} (")));
            if undone == without && told { Ok(()) } else { Err(format!("{undone:?}: {events}")) }
        });
    }
    // The rest is done meanwhile.
    let mut undone = vec![];
    super::wait_long("nothing more is done", || {
        let before = std::mem::replace(&mut undone, trial.undone(&controller));
        if before == undone { Ok(()) } else { Err(undone.join("; ")) }
    });
    assert!(!undone.is_empty(), "all is done without {text}");
    println!("without {text}: {}", undone.join("; "));
    trial.grant(None);
    if text["resources"] == json!(["events"]) {
        // What could not be told is not told later: something new must happen.
        let nats = json!({"servers": ["nats://n:4222"], "tokenSecretRef": {"name": "none", "key": "token"}});
        let patch = json!({"spec": {"backbone": {"nats": nats}}}).to_string();
        trial.kubectl(&["patch", "tgw/n", "--type=merge", "--patch", &patch]);
    }
    trial.wait_until_done(&controller);
}
