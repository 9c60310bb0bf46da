//! The pods: restricted by the Pod Security Standards, and with time to see their clients off.

mod container;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, LocalObjectReference, PodSecurityContext, PodSpec, SeccompProfile,
    SecretVolumeSource, TopologySpreadConstraint, Volume,
};

use super::{given, given_list, parent::Parent};
use crate::{api::session_key_secret, controller::names};
use container::container;

/// User and group, as the image has them.
const USER: i64 = 65_532;
/// Only the pod's group may read what is mounted.
const GROUP_READS: i32 = 0o440;
/// Seconds a gateway has after the drain's window, until it is killed: its own margin of 20 and some to spare.
const MARGIN_SECONDS: i64 = 30;

pub(super) fn spec(parent: &Parent<'_>) -> PodSpec {
    let (spec, drain) = (&parent.spec.pod, &parent.spec.drain);
    let pull = |name: &String| LocalObjectReference { name: name.clone() };
    PodSpec {
        containers: vec![container(parent)],
        service_account_name: Some(parent.name.to_owned()),
        automount_service_account_token: Some(false),
        // Said, so that an edit of the Deployment that sets them is put right: what is not applied is not owned.
        host_network: Some(false),
        host_pid: Some(false),
        host_ipc: Some(false),
        enable_service_links: Some(false),
        security_context: Some(security()),
        termination_grace_period_seconds: Some(
            i64::from(drain.pre_stop_seconds) + i64::from(drain.window_seconds) + MARGIN_SECONDS,
        ),
        volumes: Some(volumes(parent)),
        image_pull_secrets: given_list(&spec.image_pull_secrets.iter().map(pull).collect::<Vec<_>>()),
        node_selector: given(&spec.node_selector),
        tolerations: given_list(&spec.tolerations),
        affinity: spec.affinity.clone(),
        priority_class_name: spec.priority_class_name.clone(),
        topology_spread_constraints: Some(spread(parent)),
        ..PodSpec::default()
    }
}

fn security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn volumes(parent: &Parent<'_>) -> Vec<Volume> {
    let config = Volume {
        name: "config".into(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::config_map(parent.name),
            default_mode: Some(GROUP_READS),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let secret = |volume: &str, secret| Volume {
        name: volume.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            default_mode: Some(GROUP_READS),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    vec![
        config,
        secret("secrets", names::secrets(parent.name)),
        secret("session-key", session_key_secret(parent.name)),
    ]
}

/// As the resource says, or evenly over hosts and zones as far as that can be had, each `ReplicaSet` by itself: during a
/// rollout the old pods do not push the new ones together.
fn spread(parent: &Parent<'_>) -> Vec<TopologySpreadConstraint> {
    let own = || Some(parent.selector());
    let given = &parent.spec.pod.topology_spread_constraints;
    if given.is_empty() {
        return ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
            .map(|key| TopologySpreadConstraint {
                topology_key: key.into(),
                max_skew: 1,
                when_unsatisfiable: "ScheduleAnyway".into(),
                label_selector: own(),
                match_label_keys: Some(vec!["pod-template-hash".into()]),
                ..TopologySpreadConstraint::default()
            })
            .into();
    }
    // Without a selector a constraint counts no pod at all, which nobody means.
    let completed = given.iter().cloned().map(|constraint| TopologySpreadConstraint {
        label_selector: constraint.label_selector.clone().or_else(own),
        ..constraint
    });
    completed.collect()
}
