//! Names, namespaces and labels of all objects.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{NAMESPACE, matrix, of_kind, render, render_as, the, title};
use crate::chart::{parse, read};

/// Kinds that are in no namespace.
const CLUSTER: [&str; 3] = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"];

/// The chart's own objects: what `extraObjects` brings is the user's business.
fn own(object: &Value) -> bool {
    object["metadata"]["labels"]["app.kubernetes.io/name"] == "topic-gateway"
}

#[test]
fn everything_that_is_in_a_namespace_names_it() {
    for (values, objects) in matrix() {
        for object in objects {
            let namespace = object["metadata"]["namespace"].as_str();
            let cluster = CLUSTER.contains(&object["kind"].as_str().unwrap());
            assert_eq!(namespace.is_none(), cluster, "{values}: {}", title(object));
            let elsewhere = ["prices", "risk", "monitoring"];
            let ours = namespace.is_none_or(|found| found == NAMESPACE || elsewhere.contains(&found));
            assert!(ours, "{values}: {} is in {namespace:?}", title(object));
        }
    }
}

#[test]
fn no_object_is_there_twice() {
    for (values, objects) in matrix() {
        let mut seen = BTreeSet::new();
        for object in objects {
            let place = (title(object), object["metadata"]["namespace"].to_string());
            assert!(seen.insert(place), "{values}: {} is there twice", title(object));
        }
    }
}

#[test]
fn everything_carries_the_recommended_labels() {
    for (values, objects) in matrix() {
        for object in objects.iter().filter(|object| own(object)) {
            let labels = &object["metadata"]["labels"];
            let place = format!("{values}: {}", title(object));
            assert_eq!(labels["app.kubernetes.io/instance"], "trial", "{place}");
            assert_eq!(labels["app.kubernetes.io/part-of"], "topic-gateway", "{place}");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{place}");
            assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"), "{place}");
            assert!(labels["app.kubernetes.io/component"].is_string(), "{place}");
            assert!(labels["helm.sh/chart"].is_string(), "{place}");
            let team = (values == "everything").then_some("messaging");
            assert_eq!(labels["team"].as_str(), team, "{place}");
        }
        let foreign = objects.iter().filter(|object| !own(object)).count();
        assert_eq!(foreign, if values == "everything" { 2 } else { 0 }, "{values}");
    }
}

/// Each selector of an object that is about the controller's pods.
fn selectors(objects: &[Value]) -> Vec<(String, &Map<String, Value>)> {
    let paths = ["/spec/selector/matchLabels", "/spec/selector", "/spec/podSelector/matchLabels"];
    let one = |object: &'_ Value| paths.iter().find_map(|path| object.pointer(path)?.as_object().cloned());
    let selecting = objects.iter().filter(|object| one(object).is_some());
    selecting
        .map(|object| {
            let found = paths.iter().find_map(|path| object.pointer(path)?.as_object());
            (title(object), found.unwrap())
        })
        .collect()
}

#[test]
fn selectors_are_name_instance_and_component_and_find_controllers_only() {
    let expected = json!({
        "app.kubernetes.io/name": "topic-gateway",
        "app.kubernetes.io/instance": "trial",
        "app.kubernetes.io/component": "controller",
    });
    for (values, objects) in matrix() {
        let selectors = selectors(objects);
        assert!(selectors.len() >= 2, "{values}: is the search still right?");
        for (title, selector) in selectors {
            assert_eq!(selector, expected.as_object().unwrap(), "{values}: {title}");
        }
        let labels = &the(objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
        let pod = the(objects, "Pod");
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&labels[key], value, "{values}: the controller's pods are not selected");
        }
        assert_ne!(pod["metadata"]["labels"]["app.kubernetes.io/component"], "controller", "{values}");
    }
}

#[test]
fn the_smallest_release_has_no_object_that_was_not_asked_for() {
    let kinds: Vec<_> =
        render(&[]).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect();
    let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
    assert_eq!(count("ClusterRole"), 3, "controller, view, edit");
    let mut kinds: BTreeSet<_> = kinds.iter().map(String::as_str).collect();
    for kind in CLUSTER {
        kinds.remove(kind);
    }
    let expected = ["Deployment", "Lease", "Pod", "Role", "RoleBinding", "Service", "ServiceAccount"];
    assert_eq!(kinds, BTreeSet::from(expected));
}

#[test]
fn objects_are_called_after_the_release() {
    let name = |release: &str, arguments: &[&str]| {
        let objects = render_as(release, arguments);
        the(&objects, "Deployment")["metadata"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name("topic-gateway", &[]), "topic-gateway-controller");
    assert_eq!(name("my-topic-gateway-2", &[]), "my-topic-gateway-2-controller");
    assert_eq!(name("trial", &[]), "trial-topic-gateway-controller");
    assert_eq!(name("trial", &["--set", "nameOverride=tg"]), "trial-tg-controller");
    assert_eq!(name("trial", &["--set", "fullnameOverride=tg"]), "tg-controller");
}

#[test]
fn the_longest_name_of_a_release_is_not_too_long() {
    let release = "a".repeat(53);
    let everything = crate::chart::chart().join("ci/everything-values.yaml");
    let arguments =
        ["--values", everything.to_str().unwrap(), "--set", "fullnameOverride=,serviceAccount.name="];
    for object in render_as(&release, &arguments) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let limit =
            if ["ConfigMap", "ClusterRole"].contains(&object["kind"].as_str().unwrap()) { 253 } else { 63 };
        assert!(name.len() <= limit, "{}: {} characters", title(&object), name.len());
    }
}

#[test]
fn the_definition_is_installed_as_it_is_but_for_metadata() {
    let stored = parse(&read("files/crds/topicgateways.topicgateway.io.yaml"));
    let of = |values: &[&str]| of_kind(&render(values), "CustomResourceDefinition").first().copied().cloned();
    let mut kept = of(&[]).unwrap();
    assert_eq!(kept["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    assert_eq!(kept["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    kept["metadata"].as_object_mut().unwrap().retain(|field, _| field == "name");
    assert_eq!(kept, stored);
    let leaving = of(&["crds.keep=false"]).unwrap();
    assert_eq!(leaving["metadata"]["annotations"], Value::Null);
    assert_eq!(of(&["crds.enabled=false"]), None);
}

#[test]
fn templates_in_extra_objects_are_carried_out() {
    let objects = &matrix()["everything"];
    let names: BTreeSet<_> = of_kind(objects, "ConfigMap")
        .iter()
        .filter(|object| !own(object))
        .map(|object| object["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["trial-map", "trial-text"]));
}
