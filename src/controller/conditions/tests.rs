use super::*;
use crate::{
    api::{GatewayReport, RejectedConfig},
    controller::{
        observed::{DeploymentState, Hindrance, Leaving},
        settings::KeptStream,
    },
};

const TYPES: [&str; 6] =
    ["Available", "BackboneConnected", "Ready", "Reconciling", "ResolvedRefs", "Stalled"];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn report(generation: i64) -> GatewayReport {
    GatewayReport { generation, backbone_connected: true, ..GatewayReport::default() }
}

fn pod(name: &str, report: Option<GatewayReport>) -> PodState {
    PodState { name: name.into(), ready: true, report, ..PodState::default() }
}

fn deployment(replicas: i32, updated: i32, available: i32) -> DeploymentState {
    DeploymentState {
        up_to_date: true,
        replicas,
        updated,
        ready: available,
        available,
        ..DeploymentState::default()
    }
}

fn problem(reason: Reason, message: &str) -> Problem {
    Problem { reason, message: message.into() }
}

/// Three pods, all well, of generation 4.
fn well() -> Observed {
    Observed {
        name: "market".into(),
        generation: 4,
        wanted: 3,
        minimum: 2,
        deployment: Some(deployment(3, 3, 3)),
        pods: ["a", "b", "c"].map(|name| pod(name, Some(report(4)))).into(),
        ..Observed::default()
    }
}

fn changed(change: impl FnOnce(&mut Observed)) -> Observed {
    let mut observed = well();
    change(&mut observed);
    observed
}

fn with_deployment(change: impl FnOnce(&mut DeploymentState)) -> Observed {
    changed(|observed| change(observed.deployment.as_mut().unwrap()))
}

fn rejecting(generation: Option<i64>) -> Observed {
    changed(|observed| {
        let rejected = Some(RejectedConfig { generation, message: "limits are wrong: lower them".into() });
        observed.pods[1].report = Some(GatewayReport { rejected, ..report(3) });
    })
}

/// Status and reason of one type.
fn of(observed: &Observed, name: &str) -> (String, String) {
    let condition = find(observed, name);
    (condition.status, condition.reason)
}

fn find(observed: &Observed, name: &str) -> Condition {
    conditions(observed, &[], at(1)).into_iter().find(|condition| condition.type_ == name).unwrap()
}

#[track_caller]
fn assert_is(observed: &Observed, name: &str, status: &str, reason: &str) {
    assert_eq!(of(observed, name), (status.into(), reason.into()), "{name}");
}

/// `Ready` is not True for this reason, and the other two say whether it passes by itself.
#[track_caller]
fn assert_not_ready(observed: &Observed, reason: &str, passes: bool) {
    assert_is(observed, "Ready", "False", reason);
    let (going, stuck) = if passes { ("True", "False") } else { ("False", "True") };
    assert_is(observed, "Reconciling", going, reason);
    assert_is(observed, "Stalled", stuck, reason);
}

#[test]
fn every_type_is_there_from_the_first_visit_on() {
    for observed in [Observed::default(), well()] {
        let conditions = conditions(&observed, &[], at(1));
        let types: Vec<_> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, TYPES);
        assert!(
            conditions.iter().all(|condition| condition.observed_generation == Some(observed.generation))
        );
        assert!(conditions.iter().all(|condition| !condition.reason.is_empty()));
    }
}

#[test]
fn all_is_well() {
    let expected = [
        ("True", "MinimumReplicasAvailable"),
        ("True", "Connected"),
        ("True", "AllReplicasReady"),
        ("False", "Settled"),
        ("True", "ResolvedRefs"),
        ("False", "Settled"),
    ];
    for (name, (status, reason)) in TYPES.into_iter().zip(expected) {
        assert_is(&well(), name, status, reason);
    }
    assert_eq!(find(&well(), "Ready").message, "3 pods wanted and ready");
}

#[test]
fn a_transition_time_moves_with_the_status_alone() {
    let first = conditions(&well(), &[], at(1));
    let connected = |now, pods: Vec<PodState>| {
        let after = conditions(&changed(|observed| observed.pods = pods), &first, at(now));
        let condition = after.into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        (condition.status, condition.last_transition_time.0)
    };
    assert_eq!(connected(2, well().pods), ("True".into(), at(1)));
    assert_eq!(connected(3, vec![pod("a", Some(report(3)))]), ("False".into(), at(3)));
}

#[test]
fn another_reason_does_not_move_it() {
    let first = conditions(&with_deployment(|it| it.available = 1), &[], at(1));
    let second = conditions(&with_deployment(|it| it.updated = 1), &first, at(9));
    let ready = second.iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!((ready.reason.as_str(), ready.last_transition_time.0), ("RollingOut", at(1)));
}

#[test]
fn what_passes_is_work_in_progress() {
    let cases = [
        (changed(|it| it.deployment = None), "WaitingForReplicas"),
        (with_deployment(|it| *it = deployment(0, 0, 0)), "WaitingForReplicas"),
        (with_deployment(|it| it.available = 2), "WaitingForReplicas"),
        (with_deployment(|it| it.up_to_date = false), "RollingOut"),
        (with_deployment(|it| *it = deployment(4, 1, 3)), "RollingOut"),
        (with_deployment(|it| *it = deployment(5, 5, 5)), "Scaling"),
        (with_deployment(|it| *it = deployment(2, 2, 2)), "Scaling"),
        (changed(|it| it.pods[2].report = Some(report(3))), "Reloading"),
        (changed(|it| it.applying = vec![problem(Reason::ApplyFailed, "try again")]), "ApplyFailed"),
        (changed(|it| it.wanted = 0), "Scaling"),
    ];
    for (observed, reason) in cases {
        assert_not_ready(&observed, reason, true);
    }
}

#[test]
fn what_waits_for_somebody_is_stalled() {
    for reason in [Reason::Conflict, Reason::Forbidden, Reason::InvalidSpec] {
        let observed = changed(|it| it.applying = vec![problem(reason, "mend it")]);
        assert_not_ready(&observed, reason.as_str(), false);
    }
    for reason in [Reason::SecretNotFound, Reason::KeyMissing, Reason::InvalidKey, Reason::InvalidCertificate]
    {
        let observed = changed(|it| it.references = vec![problem(reason, "mend it")]);
        assert_not_ready(&observed, reason.as_str(), false);
        assert_is(&observed, "ResolvedRefs", "False", reason.as_str());
        assert_eq!(find(&observed, "Stalled").message, "mend it");
    }
    let stuck = with_deployment(|it| {
        *it = DeploymentState { stuck: Some("no progress".into()), ..deployment(3, 3, 1) };
    });
    assert_not_ready(&stuck, "ProgressDeadlineExceeded", false);
}

fn hindered(reason: &str, change: impl FnOnce(&mut DeploymentState)) -> String {
    let mut observed = with_deployment(change);
    observed.pods[1].ready = false;
    observed.pods[1].hindrance = Some(Hindrance { reason: reason.into(), message: "that is why".into() });
    find(&observed, "Ready").message
}

#[test]
fn why_pods_do_not_run_is_told_with_the_pod_and_what_to_do() {
    for (reason, next) in [
        ("ImagePullBackOff", "look at spec.pod.image and spec.pod.imagePullSecrets"),
        ("CrashLoopBackOff", "look at kubectl logs b --previous"),
        ("CreateContainerConfigError", "look at kubectl describe pod b"),
        ("Unschedulable", "make room on a node, or change what spec.pod asks of nodes"),
    ] {
        let expected = format!("2 pods of 3 ready; pod b does not run, {reason}: that is why; {next}");
        assert_eq!(hindered(reason, |it| it.available = 2), expected);
    }
    for (state, begins) in [
        (deployment(4, 1, 3), "1 pod of 3 replaced, 3 of the old left; pod b"),
        (deployment(2, 2, 2), "2 pods there, 3 wanted; pod b"),
        (
            DeploymentState { stuck: Some("it took too long".into()), ..deployment(3, 3, 2) },
            "Deployment market has given up waiting, 2 pods of 3 ready: it took too long; pod b",
        ),
    ] {
        let message = hindered("CrashLoopBackOff", |it| *it = state);
        assert!(message.starts_with(begins), "{message}");
    }
}

#[test]
fn pods_that_are_refused_are_told_before_pods_that_do_not_run() {
    let message = hindered("CrashLoopBackOff", |it| {
        *it = DeploymentState { refused: Some("exceeded quota".into()), ..deployment(2, 2, 2) };
    });
    let expected = "2 pods there, 3 wanted; its pods are refused: exceeded quota; lift the quota or policy that \
                    forbids them, or change spec.pod";
    assert_eq!(message, expected);
}

fn leaving(serves: bool) -> Leaving {
    Leaving { serves, message: "Service a/m is being deleted and held by finalizer b/c".into() }
}

#[test]
fn a_child_that_has_to_be_gone_first_is_told_and_what_clients_need_is_not_ready() {
    let observed = changed(|it| it.leaving = vec![leaving(true)]);
    assert_not_ready(&observed, "WaitingForDeletion", true);
    assert_eq!(find(&observed, "Ready").message, leaving(true).message);
    let observed = changed(|it| it.leaving = vec![leaving(false)]);
    assert_is(&observed, "Ready", "True", "AllReplicasReady");
    assert_is(&observed, "Reconciling", "True", "WaitingForDeletion");
    assert_eq!(find(&observed, "Reconciling").message, leaving(false).message);
}

#[test]
fn an_old_verdict_of_the_deployment_does_not_count() {
    let observed = with_deployment(|it| {
        *it = DeploymentState { up_to_date: false, stuck: Some("of before".into()), ..deployment(3, 3, 3) };
    });
    assert_not_ready(&observed, "RollingOut", true);
}

#[test]
fn what_waits_for_somebody_goes_before_what_passes() {
    let observed = changed(|it| {
        it.applying = vec![problem(Reason::ApplyFailed, "later"), problem(Reason::Conflict, "mend it")];
    });
    assert_not_ready(&observed, "Conflict", false);
    assert_eq!(find(&observed, "Ready").message, "later; mend it");
}

#[test]
fn a_rejected_configuration_is_told_in_the_pods_words() {
    for generation in [None, Some(4), Some(5)] {
        let observed = rejecting(generation);
        assert_not_ready(&observed, "ConfigRejected", false);
        let message = "Pod b goes on with the configuration it has: limits are wrong: lower them";
        assert_eq!(find(&observed, "Ready").message, message);
    }
}

#[test]
fn what_a_pod_may_yet_take_is_work_in_progress_in_the_pods_words() {
    for in_force in [3, 4] {
        let mut observed = rejecting(Some(4));
        observed.pods[1].may_take = true;
        observed.pods[1].report.as_mut().unwrap().generation = in_force;
        assert_not_ready(&observed, "Reloading", true);
        let message = "Generation 4 is yet to be loaded by b; pod b waits: limits are wrong: lower them";
        assert_eq!(find(&observed, "Ready").message, message);
    }
}

#[test]
fn what_a_pod_says_of_an_older_generation_is_out_of_date() {
    assert_not_ready(&rejecting(Some(3)), "Reloading", true);
}

#[test]
fn a_pod_that_cannot_be_asked_holds_nothing_up() {
    let observed = changed(|it| it.pods[0].report = None);
    assert_is(&observed, "Ready", "True", "AllReplicasReady");
    assert_is(&observed, "BackboneConnected", "True", "Connected");
    let silent = changed(|it| it.pods.iter_mut().for_each(|pod| pod.report = None));
    assert_is(&silent, "Ready", "True", "AllReplicasReady");
    assert_is(&silent, "BackboneConnected", "Unknown", "NoReport");
}

#[test]
fn a_pod_that_is_not_ready_need_not_have_loaded_anything() {
    let observed = changed(|it| {
        it.pods.push(PodState { ready: false, ..pod("d", Some(report(1))) });
    });
    assert_is(&observed, "Ready", "True", "AllReplicasReady");
}

#[test]
fn a_pod_apart_from_its_backbone_is_named() {
    let observed = changed(|it| {
        for pod in &mut it.pods {
            pod.report = Some(GatewayReport { backbone_connected: false, ..report(4) });
        }
        it.pods.push(it.pods[0].clone());
    });
    assert_is(&observed, "BackboneConnected", "False", "NotConnected");
    let message = find(&observed, "BackboneConnected").message;
    assert!(message.starts_with("Not connected to the backbone: a, b, c and 1 more; look at"), "{message}");
}

#[test]
fn the_condition_of_the_backbone_says_how_messages_come_and_what_is_wrong_with_the_stream() {
    let with = |feed, trouble: Option<&str>, stream| {
        changed(|it| {
            it.stream = stream;
            for pod in &mut it.pods {
                let stream_trouble = trouble.map(Into::into);
                pod.report = Some(GatewayReport { feed, stream_trouble, ..report(4) });
            }
        })
    };
    let left = KeptStream { left: vec!["maxAge is left".into()], ..KeptStream::default() };
    for (observed, status, reason, part) in [
        (with(Feed::Core, None, None), "True", "Connected", "connected to the backbone"),
        (with(Feed::RePublish, None, Some(Ok(left))), "True", "Connected", "(RePublish); maxAge is left"),
        (
            with(Feed::Notice, Some("reads are slow"), None),
            "True",
            "Connected",
            "NATS the work; reads are slow",
        ),
        (with(Feed::RePublish, None, Some(Err("no".into()))), "True", "Connected", "looked after: no"),
        (
            with(Feed::Core, Some("none"), Some(Err("no".into()))),
            "False",
            "StreamUnavailable",
            "none; the stream",
        ),
    ] {
        assert_is(&observed, "BackboneConnected", status, reason);
        let message = find(&observed, "BackboneConnected").message;
        assert!(message.contains(part), "{message}");
    }
    let nobody_tells = changed(|it| {
        it.stream = Some(Err("not there".into()));
        it.pods.clear();
    });
    assert_is(&nobody_tells, "BackboneConnected", "False", "StreamUnavailable");
}

#[test]
fn available_is_what_the_disruption_budget_asks_for() {
    let with = |available| with_deployment(|it| it.available = available);
    assert_is(&with(2), "Available", "True", "MinimumReplicasAvailable");
    assert_is(&with(1), "Available", "False", "MinimumReplicasUnavailable");
    assert_eq!(find(&with(1), "Available").message, "2 pods must serve, 1 does");
    // Whatever is wrong with what is wanted, what runs serves.
    let observed = changed(|it| it.references = vec![problem(Reason::SecretNotFound, "no")]);
    assert_is(&observed, "Available", "True", "MinimumReplicasAvailable");
}

#[test]
fn nothing_wanted_is_ready_and_not_available() {
    let observed = changed(|it| {
        (it.wanted, it.minimum, it.deployment) = (0, 0, Some(deployment(0, 0, 0)));
        it.pods.clear();
    });
    assert_is(&observed, "Ready", "True", "ScaledToZero");
    assert_is(&observed, "Available", "False", "ScaledToZero");
    assert_is(&observed, "BackboneConnected", "Unknown", "ScaledToZero");
}

#[test]
fn references_that_could_not_be_looked_up_are_unknown() {
    let denied = problem(Reason::Forbidden, "may not read Secret a/b");
    let observed = changed(|it| it.references = vec![denied.clone()]);
    assert_is(&observed, "ResolvedRefs", "Unknown", "Forbidden");
    let both = changed(|it| it.references = vec![denied, problem(Reason::KeyMissing, "no key")]);
    assert_is(&both, "ResolvedRefs", "False", "KeyMissing");
}

#[test]
fn a_missing_api_is_said_and_is_no_failure() {
    let observed = changed(|it| it.missing_apis = vec!["monitoring.coreos.com/v1 PodMonitor".into()]);
    assert_is(&observed, "Ready", "True", "AllReplicasReady");
    assert_eq!(
        find(&observed, "Ready").message,
        "3 pods wanted and ready; not made, for the cluster lacks the API: monitoring.coreos.com/v1 PodMonitor"
    );
}

#[test]
fn an_optional_api_that_may_not_be_watched_is_said_with_the_right() {
    let why = "the controller may not list and watch podmonitors (monitoring.coreos.com/v1): grant it";
    let observed = changed(|it| it.forbidden_apis = vec![why.into()]);
    assert_is(&observed, "Ready", "True", "AllReplicasReady");
    assert_eq!(find(&observed, "Ready").message, format!("3 pods wanted and ready; not made: {why}"));
}

#[test]
fn while_paused_ready_tells_whether_what_runs_serves() {
    // The spec has moved on, and a Secret has gone: neither has a part in what runs.
    let serves = changed(|it| {
        (it.paused, it.generation) = (true, 5);
        it.references = vec![problem(Reason::SecretNotFound, "gone")];
    });
    assert_is(&serves, "Ready", "True", "Paused");
    assert_is(&serves, "ResolvedRefs", "False", "SecretNotFound");
    let down = changed(|it| {
        it.paused = true;
        it.deployment.as_mut().unwrap().available = 1;
    });
    assert_is(&down, "Ready", "False", "Paused");
    for observed in [serves, down] {
        assert_is(&observed, "Reconciling", "False", "Paused");
        assert_is(&observed, "Stalled", "False", "Paused");
    }
}

#[test]
fn a_message_has_an_end() {
    let observed = changed(|it| it.applying = vec![problem(Reason::Conflict, &"ü".repeat(9000))]);
    assert_eq!(find(&observed, "Ready").message.chars().count(), LONGEST + 1);
}

mod any {
    use proptest::prelude::*;

    use super::*;

    fn reason() -> impl Strategy<Value = Reason> {
        prop_oneof![
            Just(Reason::Conflict),
            Just(Reason::ApplyFailed),
            Just(Reason::SecretNotFound),
            Just(Reason::Forbidden)
        ]
    }

    fn problems() -> impl Strategy<Value = Vec<Problem>> {
        prop::collection::vec(reason().prop_map(|reason| problem(reason, "m")), 0..2)
    }

    prop_compose! {
        fn deployments()(up_to_date: bool, counts in prop::array::uniform4(0..4), stuck: bool) -> DeploymentState {
            let [replicas, updated, ready, available] = counts;
            DeploymentState { up_to_date, ready, stuck: stuck.then(|| "s".into()), ..deployment(replicas, updated, available) }
        }
    }

    prop_compose! {
        fn pods()(ready: bool, told in prop::option::of((0..6_i64, any::<bool>()))) -> PodState {
            let report = told.map(|(generation, backbone_connected)| GatewayReport { backbone_connected, ..report(generation) });
            PodState { ready, ..pod("p", report) }
        }
    }

    prop_compose! {
        fn anything()(
            generation in 0..6_i64, wanted in 0..4, paused: bool, references in problems(), applying in problems(),
            deployment in prop::option::of(deployments()), pods in prop::collection::vec(pods(), 0..4),
            leaving in prop::collection::vec(any::<bool>().prop_map(leaving), 0..2),
        ) -> Observed {
            Observed { generation, wanted, paused, references, applying, leaving, deployment, pods, ..well() }
        }
    }

    proptest! {
        #[test]
        fn the_three_that_kstatus_reads_never_contradict_each_other(observed in anything()) {
            let holds = |name| of(&observed, name).0 == "True";
            let (ready, reconciling, stalled) = (holds("Ready"), holds("Reconciling"), holds("Stalled"));
            prop_assert!(u8::from(reconciling) + u8::from(stalled) <= 1);
            prop_assert!(!ready || !stalled && (!reconciling || !observed.leaving.is_empty()));
            // Somebody or something always has the next step, but for what is paused.
            prop_assert!(ready || reconciling || stalled || observed.paused);
        }

        #[test]
        fn a_second_look_at_the_same_changes_nothing(observed in anything()) {
            let first = conditions(&observed, &[], at(1));
            prop_assert_eq!(conditions(&observed, &first, at(2)), first);
        }
    }
}
