//! Values that cannot work are refused with a sentence that says what to do.

use super::{refusal, render, template};

#[test]
fn combinations_that_cannot_work_are_refused_with_a_sentence() {
    let (two, budget) = ("replicaCount=2", "podDisruptionBudget.enabled=true");
    let table: [(&[&str], &str); 10] = [
        (
            &[two, "leaderElection.enabled=false"],
            "two controllers would work against each other; enable it or keep one replica",
        ),
        (
            &[two, budget, "podDisruptionBudget.minAvailable=1", "podDisruptionBudget.maxUnavailable=0"],
            "has both minAvailable and maxUnavailable: give one",
        ),
        (&[budget], "podDisruptionBudget.enabled needs replicaCount 2 or more"),
        (
            &["metrics.serviceMonitor.enabled=true", "metrics.podMonitor.enabled=true"],
            "every controller would be scraped twice; keep one",
        ),
        (&["serviceAccount.create=false"], "serviceAccount.name is empty: the rights would go to"),
        (
            &["extraArgs={--namespace=other}"],
            "extraArgs has --namespace=other, which the chart makes from values",
        ),
        (&["extraEnv[0].name=RUST_LOG"], "extraEnv has RUST_LOG, which the chart sets"),
        (
            &[r"commonLabels.app\.kubernetes\.io/name=other"],
            "has app.kubernetes.io/name, which the chart sets",
        ),
        (&[r"podLabels.helm\.sh/chart=other"], "has helm.sh/chart, which the chart sets"),
        (
            &["metrics.prometheusRule.disabled={TopicGatewayNothing}"],
            "disabled has TopicGatewayNothing, and there is no such alert",
        ),
    ];
    for (values, sentence) in table {
        let told = refusal(values);
        assert!(told.contains(sentence), "{values:?}: {told}");
    }
}

#[test]
fn unknown_values_are_refused_by_name() {
    for path in ["replicas=2", "image.name=x", "metrics.serviceMonitor.intervals=1m", "crds.install=true"] {
        let (key, _) = path.rsplit('.').next().unwrap().split_once('=').unwrap();
        let told = refusal(&[path]);
        assert!(told.contains(key), "{path}: {told}");
    }
}

#[test]
fn values_of_the_wrong_form_are_refused_by_name() {
    for value in [
        "replicaCount=many",
        "replicaCount=11",
        "image.pullPolicy=Sometimes",
        "image.repository=",
        "image.digest=abc",
        "watchNamespaces={Prices}",
        "concurrency=0",
        "metrics.podMonitor.interval=often",
        "podDisruptionBudget.minAvailable=half",
        "networkPolicy.apiServerPorts={70000}",
        "logLevel=verbose",
        "logLevel=info\\,topic_gateway=loud",
        "resources=500m",
        "resources.cpu=500m",
        "resources.limits=500m",
        "nameOverride=Gateway",
        "nameOverride=a_b",
        "fullnameOverride=9gateway",
        "fullnameOverride=a.b",
        "extraArgs=--concurrency=4",
        "extraArgs.concurrency=4",
    ] {
        let (path, _) = value.split_once('=').unwrap();
        let told = refusal(&[value]);
        assert!(path.split('.').any(|key| told.contains(key)), "{value}: {told}");
    }
    for value in ["logLevel=off", "logLevel=warn\\,topic_gateway::controller=debug", "nameOverride=a-b"] {
        assert!(!render(&[value]).is_empty());
    }
}

#[test]
fn a_parent_chart_may_give_what_it_gives_to_all() {
    assert!(!render(&["global.imageRegistry=r.example.com", "enabled=true"]).is_empty());
}

#[test]
fn a_cluster_that_is_too_old_is_refused() {
    let told = |version: &str| {
        let output = template("trial", &["--kube-version", version]);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (accepted, message) = told("1.29.9");
    assert!(!accepted && message.contains(">= 1.30.0-0"), "{message}");
    assert!(told("1.30.0-vendor.1").0, "suffixes of vendors are admitted");
}
