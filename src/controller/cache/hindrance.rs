//! Why a pod does not run, from its status.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus};

use crate::controller::observed::Hindrance;

/// Characters that are kept of what Kubernetes says.
const LONGEST: usize = 300;
/// What every container waits for before it runs.
const ORDINARY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Why a pod does not run, unless all it needs is time: no node takes it, a container cannot be started, or one has
/// ended before.
pub(super) fn hindrance(status: &PodStatus) -> Option<Hindrance> {
    unplaced(status).or_else(|| {
        let containers = status.init_container_statuses.iter().flatten();
        containers.chain(status.container_statuses.iter().flatten()).find_map(of_container)
    })
}

/// As much of a message as is kept.
pub(super) fn shortened(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

fn unplaced(status: &PodStatus) -> Option<Hindrance> {
    let mut conditions = status.conditions.iter().flatten();
    let placed = conditions.find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    // The scheduler has not looked yet.
    let reason = placed.reason.clone()?;
    Some(Hindrance { reason, message: shortened(placed.message.as_deref().unwrap_or_default()) })
}

fn of_container(container: &ContainerStatus) -> Option<Hindrance> {
    if container.ready {
        return None;
    }
    let none = ContainerState::default();
    let (state, last) =
        (container.state.as_ref().unwrap_or(&none), container.last_state.as_ref().unwrap_or(&none));
    // How it ended says more than how long it is to wait, and stays the same while it runs in between.
    let failed = |state: &ContainerState| state.terminated.clone().filter(|ended| ended.exit_code != 0);
    if let Some(ended) = failed(state).or_else(|| failed(last)) {
        return Some(of_end(container, &ended));
    }
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.clone().filter(|reason| !ORDINARY.contains(&reason.as_str()))?;
    Some(Hindrance { reason, message: shortened(waiting.message.as_deref().unwrap_or_default()) })
}

fn of_end(container: &ContainerStatus, ended: &ContainerStateTerminated) -> Hindrance {
    let mut message = format!("container {} ended with code {}", container.name, ended.exit_code);
    if let Some(reason) = ended.reason.as_deref().filter(|reason| *reason != "Error") {
        message = format!("{message} ({reason})");
    }
    if let Some(said) = ended.message.as_deref().filter(|said| !said.trim().is_empty()) {
        message = format!("{message}: {}", said.trim());
    }
    Hindrance { reason: "CrashLoopBackOff".into(), message: shortened(&message) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(status: Value) -> Option<(String, String)> {
        let found = hindrance(&serde_json::from_value(status).unwrap());
        found.map(|hindrance| (hindrance.reason, hindrance.message))
    }

    fn container(state: &Value, last: &Value) -> Option<(String, String)> {
        let container = json!({
            "name": "gateway", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": state, "lastState": last,
        });
        of(json!({"containerStatuses": [container]}))
    }

    fn told(reason: &str, message: &str) -> (String, String) {
        (reason.into(), message.into())
    }

    #[test]
    fn a_container_that_cannot_start_tells_why() {
        for reason in ["ImagePullBackOff", "CreateContainerConfigError"] {
            let waiting = json!({"waiting": {"reason": reason, "message": "there is no x."}});
            assert_eq!(container(&waiting, &json!({})), Some(told(reason, "there is no x")));
        }
    }

    #[test]
    fn what_only_takes_time_is_no_hindrance() {
        for state in [
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({"running": {}}),
            json!({"terminated": {"exitCode": 0}}),
            json!({}),
        ] {
            assert_eq!(container(&state, &json!({})), None, "{state}");
        }
        assert_eq!(of(json!({"conditions": [{"type": "PodScheduled", "status": "False"}]})), None);
    }

    #[test]
    fn a_container_that_ends_again_and_again_tells_how_and_says_the_same_while_it_runs() {
        let ended = json!({"terminated": {"exitCode": 64, "reason": "Error"}});
        let expected = told("CrashLoopBackOff", "container gateway ended with code 64");
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}});
        for (state, last) in
            [(waiting, ended.clone()), (json!({"running": {}}), ended.clone()), (ended, json!({}))]
        {
            assert_eq!(container(&state, &last).unwrap(), expected);
        }
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "too much\n"}});
        let expected =
            told("CrashLoopBackOff", "container gateway ended with code 137 (OOMKilled): too much");
        assert_eq!(container(&killed, &json!({})).unwrap(), expected);
    }

    #[test]
    fn a_pod_that_no_node_takes_says_so() {
        let placed = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 Insufficient cpu.",
        });
        let expected = told("Unschedulable", "0/2 nodes are available: 2 Insufficient cpu");
        assert_eq!(of(json!({"conditions": [placed]})).unwrap(), expected);
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "é".repeat(9000)}});
        let (_, message) = container(&waiting, &json!({})).unwrap();
        assert_eq!(message.chars().count(), LONGEST + 1);
    }
}
