//! Alerts on the pods' metrics, for the Prometheus operator.
//!
//! Series are found by `namespace` and `pod`, as every scrape of pods attaches them. Pods of a Deployment are called
//! after it with two more parts, so that another gateway whose name begins alike is not meant.

mod slo;

use serde_json::{Value, json};

use super::{Child, parent::Parent};
use crate::controller::kind::Kind;

/// One alert.
struct Alert {
    name: &'static str,
    expression: String,
    /// How long it must be so.
    lasts: &'static str,
    severity: &'static str,
    summary: String,
    description: &'static str,
    /// What to do.
    runbook: &'static str,
}

pub(super) fn build(parent: &Parent<'_>) -> Child {
    let group = json!({
        "name": format!("topic-gateway.{}.{}", parent.namespace, parent.name),
        "rules": alerts(parent).iter().map(|alert| rule(parent, alert)).collect::<Vec<_>>(),
    });
    let labels = &parent.spec.monitoring.prometheus_rule.labels;
    parent.foreign(Kind::PrometheusRule, labels, &json!({"groups": [group]}))
}

fn rule(parent: &Parent<'_>, alert: &Alert) -> Value {
    let mut rule = json!({
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasts,
        "labels": {
            "severity": alert.severity,
            "namespace": parent.namespace,
            "topicgateway": parent.name,
        },
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": alert.runbook,
        },
    });
    let page = parent.inputs.defaults.runbook_url.as_str();
    if !page.is_empty() {
        rule["annotations"]["runbook_url"] = format!("{page}#{}", alert.name.to_lowercase()).into();
    }
    rule
}

fn alerts(parent: &Parent<'_>) -> Vec<Alert> {
    let (namespace, name) = (parent.namespace, parent.name);
    let pods = format!("namespace=\"{namespace}\",pod=~\"{name}-[^-]+-[^-]+\"");
    let gateway = format!("{namespace}/{name}");
    let mut alerts = vec![
        backbone(&pods, &gateway),
        rejected(&pods, &gateway),
        unavailable(&pods, &gateway),
        gaps(&pods, &gateway),
        slow_consumers(&pods, &gateway),
    ];
    alerts.extend(parent.spec.listeners.tls.as_ref().map(|_| certificate(&pods, &gateway)));
    alerts.extend(absent(parent, &pods, &gateway));
    alerts.extend(parent.spec.slo.iter().flat_map(|slo| slo::alerts(slo, &pods, &gateway)));
    alerts
}

fn backbone(pods: &str, gateway: &str) -> Alert {
    Alert {
        name: "TopicGatewayBackboneDisconnected",
        expression: format!("max by (pod) (topicgateway_backbone_connected{{{pods}}}) == 0"),
        lasts: "2m",
        severity: "critical",
        summary: format!("{{{{ $labels.pod }}}} of TopicGateway {gateway} is not connected to its backbone."),
        description: "Its clients stay connected and get no messages, and what they publish is not taken.",
        runbook: "Look whether NATS runs and the pod reaches it: spec.backbone.nats.servers, credentials, network \
                  policies. The pod's log has what the server answers.",
    }
}

fn rejected(pods: &str, gateway: &str) -> Alert {
    Alert {
        name: "TopicGatewayConfigRejected",
        expression: format!("max by (pod) (topicgateway_config_rejected{{{pods}}}) == 1"),
        lasts: "5m",
        severity: "warning",
        summary: format!(
            "{{{{ $labels.pod }}}} of TopicGateway {gateway} does not take its new configuration."
        ),
        description: "It goes on with the one before; a pod that is started now may not come up.",
        runbook: "The message of the condition Ready of the TopicGateway says what is wrong (kubectl describe tgw).",
    }
}

fn unavailable(pods: &str, gateway: &str) -> Alert {
    let unavailable = format!("sum(rate(topicgateway_publish_total{{{pods},result=\"unavailable\"}}[5m]))");
    let all = format!("sum(rate(topicgateway_publish_total{{{pods}}}[5m]))");
    Alert {
        name: "TopicGatewayPublishesUnavailable",
        expression: format!("{unavailable} / {all} > 0.01"),
        lasts: "5m",
        severity: "critical",
        summary: format!(
            "{{{{ $value | humanizePercentage }}}} of the publishes at TopicGateway {gateway} are not confirmed."
        ),
        description: "Clients are told to try again. The backbone is away, slow, or has no place for the messages.",
        runbook: "Look at topicgateway_backbone_connected, at the load of NATS, and at the limits of its streams.",
    }
}

fn gaps(pods: &str, gateway: &str) -> Alert {
    Alert {
        name: "TopicGatewayGaps",
        expression: format!("sum(rate(topicgateway_gaps_total{{{pods},reason=\"backbone\"}}[5m])) > 0"),
        lasts: "10m",
        severity: "warning",
        summary: format!("Messages get lost on their way to TopicGateway {gateway}."),
        description: "For 10 minutes subscribers are told of gaps, because messages did not arrive from the backbone.",
        runbook: "Look at topicgateway_backbone_reconnects_total (an unstable connection) and \
                  topicgateway_backbone_dropped_total (too much for a pod: narrow spec.backbone.nats.subjects, or give \
                  the pods more CPU).",
    }
}

fn slow_consumers(pods: &str, gateway: &str) -> Alert {
    Alert {
        name: "TopicGatewaySlowConsumers",
        expression: format!("sum(rate(topicgateway_slow_consumer_total{{{pods}}}[5m])) > 1"),
        lasts: "10m",
        severity: "warning",
        summary: format!(
            "{{{{ $value | humanize }}}} subscribers per second are too slow for TopicGateway {gateway}."
        ),
        description: "They fall out of their topics' windows and are closed, or lose messages, as spec.topics says.",
        runbook: "Raise spec.limits.windowBytes or windowSeconds, or let topics with many messages be conflated \
                  (spec.topics[].slowConsumer). Compare topicgateway_lagging_subscribers with the pods' CPU and network.",
    }
}

/// Where a certificate tells no end that can be read, there is nothing to watch.
fn certificate(pods: &str, gateway: &str) -> Alert {
    let end =
        format!("min by (pod) (topicgateway_tls_certificate_not_after_timestamp_seconds{{{pods}}} > 0)");
    Alert {
        name: "TopicGatewayCertificateExpires",
        expression: format!("{end} - time() < 7 * 86400"),
        lasts: "10m",
        severity: "warning",
        summary: format!(
            "The certificate that {{{{ $labels.pod }}}} of TopicGateway {gateway} shows ends in {{{{ $value | humanizeDuration }}}}."
        ),
        description: "From then on no client connects; those that are connected stay.",
        runbook: "Renew the pair in the Secret of spec.listeners.tls (kubectl describe certificate, where cert-manager \
                  does it). If it is renewed, a pod that does not take it tells why in the condition Ready.",
    }
}

/// Pods that are not there cannot tell, and where none is wanted there is nothing to tell.
fn absent(parent: &Parent<'_>, pods: &str, gateway: &str) -> Option<Alert> {
    let spec = parent.spec;
    // What an autoscaler sets is not written down: the rule would change with every step.
    let wanted = spec.autoscaling.as_ref().map_or(spec.replicas, |autoscaling| autoscaling.min_replicas);
    let info = format!("topicgateway_build_info{{{pods}}}");
    (wanted > 0).then(|| Alert {
        name: "TopicGatewayPodsMissing",
        expression: format!("(count({info}) or vector(0)) < {wanted}"),
        lasts: "10m",
        severity: "critical",
        summary: format!("Only {{{{ $value }}}} of {wanted} pods of TopicGateway {gateway} answer."),
        description: "For 10 minutes fewer pods are scraped than are wanted.",
        runbook: "kubectl describe tgw says what is missing; kubectl describe and kubectl logs of its pods say why. If \
                  all are well, Prometheus does not reach their port 9090: look at spec.networkPolicy.metricsFrom.",
    })
}

#[cfg(test)]
mod tests;
