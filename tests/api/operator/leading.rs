//! Several controllers, of which one works.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Controller, Namespace, gateway};
use crate::support::{wait_for, wait_until};

/// Two controllers: the one that leads first.
fn two(namespace: &Namespace) -> (Controller, Controller) {
    let controllers = [Controller::start_with(namespace, &[]), Controller::start_with(namespace, &[])];
    let leader = wait_for("one leads", || controllers.iter().position(Controller::leads));
    let [a, b] = controllers;
    if leader == 0 { (a, b) } else { (b, a) }
}

#[test]
fn one_leads_and_the_other_is_ready_and_takes_over_at_once_when_told() {
    let namespace = Namespace::new("leading");
    let (mut leader, follower) = two(&namespace);
    follower.wait_ready();
    namespace.apply(&gateway(json!({})));
    namespace.wait("deployment/m", |_| true);
    assert!(!follower.leads() && follower.passes() < 0.5);
    leader.process.signal("TERM");
    let told = Instant::now();
    assert_eq!(leader.process.wait().code(), Some(0));
    wait_until("the other leads", || follower.leads());
    // Without having been given away the Lease would last for 15 s.
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    namespace.kubectl(&["delete", "service/m"]);
    namespace.wait("service/m", |_| true);
}

#[test]
fn the_other_takes_over_from_one_that_was_killed() {
    let namespace = Namespace::new("killed");
    let (mut leader, follower) = two(&namespace);
    leader.process.kill();
    let end = Instant::now() + Duration::from_secs(40);
    while !follower.leads() {
        assert!(Instant::now() < end, "nobody leads");
        std::thread::sleep(Duration::from_millis(100));
    }
    namespace.apply(&gateway(json!({})));
    namespace.wait("deployment/m", |_| true);
}

#[test]
fn who_loses_the_lease_ends_with_code_1() {
    let namespace = Namespace::new("lost");
    let mut leader = Controller::start_with(&namespace, &[]);
    wait_until("it leads", || leader.leads());
    let patch = r#"{"spec": {"holderIdentity": "somebody-else"}}"#;
    namespace.kubectl(&["patch", "lease/topic-gateway-controller", "--type=merge", "--patch", patch]);
    assert_eq!(leader.process.wait().code(), Some(1));
    assert!(leader.process.stderr().contains("the Lease was lost: another controller has it"));
}

#[test]
fn a_lease_that_came_with_the_chart_is_taken_at_once() {
    let namespace = Namespace::new("chart-lease");
    namespace.apply(&json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "topic-gateway-controller", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
    }));
    let began = Instant::now();
    let leader = Controller::start_with(&namespace, &[]);
    wait_until("it leads", || leader.leads());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let lease = namespace.find("lease/topic-gateway-controller").unwrap();
    assert_eq!(lease["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
}
