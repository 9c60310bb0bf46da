//! What the controller may do, and where.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{NAMESPACE, matrix, of_kind, render, title};

const ROLES: [&str; 2] = ["Role", "ClusterRole"];

/// Every rule of every role, with the role's title.
fn rules(objects: &[Value]) -> Vec<(String, &Value)> {
    let roles = objects.iter().filter(|object| ROLES.contains(&object["kind"].as_str().unwrap()));
    roles.flat_map(|role| role["rules"].as_array().unwrap().iter().map(|rule| (title(role), rule))).collect()
}

#[test]
fn no_rule_is_about_everything() {
    for (values, objects) in matrix() {
        for (role, rule) in rules(&objects) {
            let text = rule.to_string();
            assert!(!text.contains('*'), "{values}: {role}: {text}");
            for field in ["apiGroups", "resources", "verbs"] {
                assert!(!rule[field].as_array().unwrap().is_empty(), "{values}: {role}: {text}");
            }
        }
    }
}

#[test]
fn no_two_rules_of_the_controller_are_about_the_same() {
    let objects = render(&["rbac.aggregateClusterRoles=false"]);
    let mut seen = BTreeSet::new();
    for (role, rule) in rules(&objects).into_iter().filter(|(role, _)| role.starts_with("ClusterRole/")) {
        for group in rule["apiGroups"].as_array().unwrap() {
            for resource in rule["resources"].as_array().unwrap() {
                assert!(seen.insert((group.to_string(), resource.to_string())), "{role}: {group} {resource}");
            }
        }
    }
}

#[test]
fn in_chosen_namespaces_there_is_no_right_beyond_them() {
    let objects = &matrix()["namespaced"];
    assert!(of_kind(objects, "ClusterRole").is_empty());
    assert!(of_kind(objects, "ClusterRoleBinding").is_empty());
    let name = "trial-topic-gateway-controller";
    let expected =
        [("prices", name.to_owned()), ("risk", name.to_owned()), (NAMESPACE, format!("{name}-leader"))];
    assert_eq!(of_kind(objects, "RoleBinding").len(), expected.len());
    for (namespace, role) in expected {
        let found = of_kind(objects, "Role").into_iter().find(|object| {
            object["metadata"]["namespace"] == namespace && object["metadata"]["name"] == role.as_str()
        });
        assert!(found.is_some(), "no {role} in {namespace}");
    }
}

#[test]
fn in_chosen_namespaces_the_controller_may_do_what_it_may_elsewhere() {
    let everywhere = render(&["rbac.aggregateClusterRoles=false"]);
    let everywhere = of_kind(&everywhere, "ClusterRole")[0]["rules"].clone();
    let objects = render(&["watchNamespaces={prices,risk}"]);
    for namespace in ["prices", "risk"] {
        let role = of_kind(&objects, "Role")
            .into_iter()
            .find(|role| role["metadata"]["namespace"] == namespace)
            .unwrap();
        assert_eq!(role["rules"], everywhere, "{namespace}");
    }
    // Roles for people are about the resource alone, and bound to nobody.
    for (role, rule) in rules(&objects).into_iter().filter(|(role, _)| role.starts_with("ClusterRole/")) {
        assert_eq!(rule["apiGroups"], json!(["topicgateway.io"]), "{role}");
    }
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
}

#[test]
fn only_its_own_lease_is_written() {
    let objects = render(&["leaderElection.leaseName=chosen"]);
    let leases: Vec<_> =
        rules(&objects).into_iter().filter(|(_, rule)| rule["resources"] == json!(["leases"])).collect();
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().all(|(role, _)| role.starts_with("Role/")));
    assert_eq!(leases[0].1["verbs"], json!(["create"]));
    assert_eq!(leases[1].1["resourceNames"], json!(["chosen"]));
    let without = render(&["leaderElection.enabled=false"]);
    assert!(of_kind(&without, "Role").is_empty());
}

#[test]
fn every_binding_is_to_the_account_of_the_controller() {
    for (values, objects) in matrix() {
        let account = if values == "everything" { "tgw-account" } else { "trial-topic-gateway-controller" };
        for binding in objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Binding")) {
            let expected = json!([{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]);
            assert_eq!(binding["subjects"], expected, "{values}: {}", title(binding));
        }
    }
}

#[test]
fn without_rbac_there_are_no_roles() {
    let objects = &matrix()["foreign-account"];
    let found =
        objects.iter().filter(|object| object["apiVersion"] == "rbac.authorization.k8s.io/v1").count();
    assert_eq!(found, 0);
    assert!(of_kind(objects, "ServiceAccount").is_empty());
}

#[test]
fn people_who_view_or_edit_a_namespace_do_so_with_its_gateways() {
    let objects = render(&[]);
    let role = |suffix: &str| {
        let name = format!("trial-topic-gateway-{suffix}");
        of_kind(&objects, "ClusterRole").into_iter().find(|role| role["metadata"]["name"] == name).unwrap()
    };
    let label = |suffix: &str, to: &str| {
        role(suffix)["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{to}")] == "true"
    };
    assert!(label("view", "view") && label("view", "edit") && label("view", "admin"));
    assert!(!label("edit", "view") && label("edit", "edit") && label("edit", "admin"));
    assert_eq!(role("view")["rules"][0]["verbs"], json!(["get", "list", "watch"]));
}
