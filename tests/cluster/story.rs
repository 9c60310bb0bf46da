//! From `helm install` to `helm uninstall`, as the README tells it: one gateway, two hundred clients, and everything
//! that happens to them in between.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    cluster::{self, RELEASE, chart, helm, image_values, next_image, wait_for, wait_within},
    crowd::{Crowd, History},
    gateway::{Gateway, example, publisher, report},
    kubectl::{kubectl, try_kubectl},
    namespace::Namespace,
    prometheus::Prometheus,
    support::NatsClient,
};

/// Topics and how many clients each has.
const TOPICS: [(&str, usize); 3] = [("prices.btc", 80), ("prices.eth", 70), ("news.world", 50)];
/// All of them.
const CLIENTS: usize = 200;
/// What a client may need beyond the time it was told: a connection and a subscription on a busy machine.
const MARGIN: Duration = Duration::from_secs(3);

#[test]
fn a_gateway_is_installed_declared_used_changed_scaled_and_removed_and_its_clients_are_always_served() {
    let _cluster = cluster::bare();
    let namespace = Namespace::new("story");
    let gateway = Gateway::new(&namespace, "market");

    helm_installs_a_controller_that_is_ready();
    one_file_makes_a_gateway(&namespace, gateway);

    let mut crowd = Crowd::new();
    for (topic, count) in TOPICS {
        crowd.join(count, &gateway.url(), &[topic], None);
    }
    crowd.wait_until_attached();
    let mut nats = publisher(&namespace, "nats", json!({}));
    let mut round = 0;
    let mut messages_reach_everybody = |crowd: &Crowd| {
        round += 1;
        publish_to_everybody(&mut nats, crowd, round);
    };
    messages_reach_everybody(&crowd);
    kubectl_tells_how_it_is(&namespace);

    let prometheus = Prometheus::start(&namespace, "market");
    prometheus_counts_the_subscribers_of_each_topic(&prometheus);
    limits_change_without_a_connection_closed(gateway, &crowd, &prometheus);
    messages_reach_everybody(&crowd);

    a_new_image_rolls_out_and_clients_are_led_over(gateway, &crowd);
    messages_reach_everybody(&crowd);
    prometheus.find_pods();
    prometheus_counts_the_subscribers_of_each_topic(&prometheus);

    more_pods_disturb_nobody(&namespace, gateway, &crowd);
    the_emptiest_pod_goes_first(&namespace, gateway, &crowd);
    messages_reach_everybody(&crowd);

    an_upgrade_of_the_controller_disturbs_nobody(gateway, &crowd);
    messages_reach_everybody(&crowd);

    a_deleted_deployment_comes_back(&namespace, gateway, &crowd);
    messages_reach_everybody(&crowd);

    a_deleted_gateway_leaves_nothing_behind(&namespace, gateway, &crowd);
    helm_uninstalls_everything_but_the_definition();
}

fn helm_installs_a_controller_that_is_ready() {
    let chart = chart();
    let image = image_values();
    let values: Vec<_> = image.iter().map(String::as_str).collect();
    let command = ["install", RELEASE, &chart, "--namespace", RELEASE, "--create-namespace", "--wait"];
    helm(&[&command[..], &values].concat());
    helm(&["test", RELEASE, "--namespace", RELEASE]);
}

fn one_file_makes_a_gateway(namespace: &Namespace, gateway: Gateway<'_>) {
    namespace.apply(&example("quickstart.yaml"));
    namespace.kubectl(&["wait", "tgw/market", "--for=condition=Ready", "--timeout=90s"]);
    gateway.wait_until_ready(2);
}

/// Publishes on NATS, and each client has what was published on its topic: all, once, in order.
fn publish_to_everybody(nats: &mut NatsClient, crowd: &Crowd, round: usize) {
    let message = |topic: &str, number: usize| json!({"topic": topic, "round": round, "number": number});
    for number in 0..10 {
        for (topic, _) in TOPICS {
            nats.publish(topic, message(topic, number).to_string());
        }
        nats.publish("news.sports", "nobody is here for this");
    }
    nats.flush();
    crowd.wait_until_received(|history: &History| {
        (0..10).map(|number| message(&history.topics[0], number)).collect()
    });
}

fn kubectl_tells_how_it_is(namespace: &Namespace) {
    wait_for("the line of kubectl get", || {
        let text = namespace.kubectl(&["get", "tgw", "market"]);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let as_wanted = words[0] == ["NAME", "READY", "REASON", "REPLICAS", "CONNECTIONS", "AGE"]
            && words[1][..5] == ["market", "True", "AllReplicasReady", "2", "200"];
        if as_wanted { Ok(()) } else { Err(text) }
    });
    let wide = namespace.kubectl(&["get", "tgw", "market", "--output=wide"]);
    for word in ["SUBSCRIPTIONS", "ADDRESS", "BACKBONE", "market.story"] {
        assert!(wide.contains(word), "no {word}: {wide}");
    }
    let described = namespace.kubectl(&["describe", "tgw", "market"]);
    assert!(described.contains("AllReplicasReady"), "{described}");
}

fn prometheus_counts_the_subscribers_of_each_topic(prometheus: &Prometheus<'_>) {
    for (topic, count) in TOPICS {
        let query = format!("sum(topicgateway_topic_subscribers{{topic=\"{topic}\"}})");
        prometheus.wait_for_value(&query, f64::from(u16::try_from(count).unwrap()));
    }
    prometheus.wait_for_value("sum(topicgateway_topic_subscribers)", 200.0);
    prometheus.wait_for_value("count(up == 1)", 2.0);
}

fn limits_change_without_a_connection_closed(
    gateway: Gateway<'_>,
    crowd: &Crowd,
    prometheus: &Prometheus<'_>,
) {
    let before = gateway.pods();
    gateway.edit(json!({"limits": {"connections": 5000, "connectionsPerUser": 5000}}));
    let edited = Instant::now();
    let generation = gateway.resource()["metadata"]["generation"].clone();
    wait_within("every pod has the new limits", Duration::from_secs(15), || {
        let status = gateway.resource()["status"].take();
        if status["configGeneration"] == generation { Ok(()) } else { Err(status.to_string()) }
    });
    println!("reloaded within {:.1?}", edited.elapsed());
    let query = format!("count(topicgateway_config_generation == {generation})");
    prometheus.wait_for_value(&query, 2.0);
    gateway.wait_for_condition("Ready", "True", "AllReplicasReady");
    assert_eq!(gateway.pods(), before, "no pod was replaced");
    crowd.assert_nobody_was_closed();
}

fn a_new_image_rolls_out_and_clients_are_led_over(gateway: Gateway<'_>, crowd: &Crowd) {
    let before: BTreeSet<_> = gateway.pods().into_iter().collect();
    gateway.edit(json!({"pod": {"image": next_image()}}));
    let edited = Instant::now();
    gateway.wait_for_condition("Ready", "True", "AllReplicasReady");
    wait_for("the old pods are gone", || {
        let pods = gateway.pods();
        let old = pods.iter().filter(|pod| before.contains(*pod)).count();
        if old == 0 && pods.len() == 2 { Ok(()) } else { Err(pods.join(" ")) }
    });
    let took = edited.elapsed();
    crowd.wait_until_attached();
    for pod in gateway.pod_objects() {
        assert_eq!(pod["spec"]["containers"][0]["image"], next_image());
    }
    let closes = crowd.assert_drained_well(MARGIN);
    let moved = crowd.histories().iter().filter(|history| !history.closes.is_empty()).count();
    assert_eq!(moved, CLIENTS, "everybody was on an old pod");
    let times: Vec<_> = crowd.closes().iter().map(|close| close.at).collect();
    let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    assert!(spread > Duration::from_secs(5), "all within {spread:?}, of a window of 10 s");
    let refused: usize = crowd.histories().iter().map(|history| history.refused).sum();
    let late = crowd.closes().iter().filter_map(crate::crowd::Close::overdue).max().unwrap();
    println!(
        "rolled out in {took:.1?}: {closes} closes over {spread:.1?}, {refused} refused, latest {late:.1?}"
    );
    crowd.forget();
}

fn more_pods_disturb_nobody(namespace: &Namespace, gateway: Gateway<'_>, crowd: &Crowd) {
    namespace.kubectl(&["scale", "tgw/market", "--replicas=3"]);
    gateway.wait_until_ready(3);
    crowd.assert_nobody_was_closed();
}

fn the_emptiest_pod_goes_first(namespace: &Namespace, gateway: Gateway<'_>, crowd: &Crowd) {
    let connections = |pod: &Value| report(pod).and_then(|report| report["connections"].as_u64());
    let pods = gateway.pod_objects();
    let emptiest = pods.iter().min_by_key(|pod| connections(pod)).unwrap();
    let name = emptiest["metadata"]["name"].as_str().unwrap();
    namespace.kubectl(&["scale", "tgw/market", "--replicas=2"]);
    gateway.wait_until_ready(2);
    assert!(!gateway.pods().contains(&name.to_owned()), "{name} had the fewest connections");
    crowd.wait_until_attached();
    crowd.assert_drained_well(MARGIN);
    crowd.forget();
}

fn an_upgrade_of_the_controller_disturbs_nobody(gateway: Gateway<'_>, crowd: &Crowd) {
    let before = gateway.pods();
    let more = ["--reuse-values", "--set=replicaCount=2", "--set=logLevel=debug", "--wait"];
    helm(&[&["upgrade", RELEASE, &chart(), "--namespace", RELEASE][..], &more].concat());
    gateway.edit(json!({"heartbeatSeconds": 20}));
    gateway.wait_for_condition("Ready", "True", "AllReplicasReady");
    assert_eq!(gateway.pods(), before, "no gateway was replaced");
    crowd.assert_nobody_was_closed();
}

fn a_deleted_deployment_comes_back(namespace: &Namespace, gateway: Gateway<'_>, crowd: &Crowd) {
    let identity = |object: &Value| object["metadata"]["uid"].clone();
    let before = identity(&namespace.get("deployment/market"));
    namespace.kubectl(&["delete", "deployment", "market"]);
    wait_for("another Deployment", || match namespace.find("deployment/market") {
        Some(found) if identity(&found) != before => Ok(()),
        other => Err(format!("{other:?}")),
    });
    gateway.wait_until_ready(2);
    crowd.wait_until_attached();
    crowd.assert_drained_well(MARGIN);
    crowd.forget();
}

fn a_deleted_gateway_leaves_nothing_behind(namespace: &Namespace, gateway: Gateway<'_>, crowd: &Crowd) {
    let kinds = "serviceaccounts,secrets,configmaps,services,deployments,replicasets,pods,poddisruptionbudgets,\
        networkpolicies,horizontalpodautoscalers,ingresses,httproutes,podmonitors,prometheusrules";
    let made = gateway.children(kinds);
    for expected in ["Deployment/market", "Service/market", "PodMonitor/market", "PodDisruptionBudget/market"]
    {
        assert!(made.iter().any(|child| child == expected), "no {expected} in {made:?}");
    }
    namespace.kubectl(&["delete", "tgw", "market"]);
    wait_for("everything that was made is gone", || match gateway.children(kinds) {
        children if children.is_empty() => Ok(()),
        children => Err(children.join(" ")),
    });
    for close in crowd.closes() {
        assert_eq!(close.code, 1012, "{close:?}");
    }
}

fn helm_uninstalls_everything_but_the_definition() {
    helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait"]);
    kubectl(&["get", "crd", "topicgateways.topicgateway.io"], "");
    let mut kinds = vec!["clusterroles", "clusterrolebindings"];
    let inside = "deployments,pods,services,serviceaccounts,roles,rolebindings,leases";
    kinds.push(inside);
    for kinds in kinds {
        let selector = format!("app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=controller");
        // Another test may have cut a pod's node off: it goes once its kubelet is back.
        wait_within("nothing of the release is left", Duration::from_mins(5), || {
            let command = ["get", kinds, "--namespace", RELEASE, "--selector", &selector, "--output=name"];
            let left = try_kubectl(&command, "").unwrap_or_else(|error| error);
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }
}
