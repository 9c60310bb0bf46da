//! The pods of a gateway: asks them how they are, tells them that there is something new, and says which go first.

mod ask;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    cache::Pod,
    deletion_cost, names,
    observed::PodState,
    queue::Key,
    refusal::{Refusal, refusal},
    shared::Shared,
};
use crate::api::GatewayReport;

/// What pods have said is good for so long.
const FRESH: Duration = Duration::from_secs(10);
/// The same where a pod has come or turned ready since, or while some are yet to take over what they were told of:
/// gateways look at their files about once a second.
const EAGER: Duration = Duration::from_secs(1);
/// A pod that has not taken over what it was told of is told again after so long …
const AGAIN: Duration = Duration::from_secs(15);
/// … and so often.
const TIMES: u32 = 5;
/// What a configuration refers to comes to a pod within this time: the kubelet brings each volume by itself, at the
/// latest with its next look, and a new backbone is connected. What a pod rejects until then may yet be taken.
const COMES: Duration = Duration::from_secs(90);

/// What the pods of a gateway have said. Bounded by the number of pods.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    at: Option<Instant>,
    /// Those that were asked, with their state.
    whom: BTreeMap<String, (IpAddr, bool)>,
    reports: BTreeMap<String, GatewayReport>,
    /// Which generation a pod rejects, and since when.
    rejecting: BTreeMap<String, (Option<i64>, Instant)>,
    /// What they were last told to take over, when, and how often.
    told: Option<(String, Instant, u32)>,
}

impl Asked {
    /// Whether the pods are others than those that were asked, or in another state.
    fn is_of_others(&self, pods: &BTreeMap<String, Pod>) -> bool {
        self.whom != askable(pods)
    }

    /// For how long the last answers are good enough.
    pub(crate) fn good_for(&self, pods: &BTreeMap<String, Pod>, generation: i64) -> Duration {
        if self.is_of_others(pods) || !self.behind(pods, generation).is_empty() { EAGER } else { FRESH }
    }

    /// After how long to ask again, where the last answers are of other pods.
    pub(crate) fn stale_in(&self, pods: &BTreeMap<String, Pod>) -> Option<Duration> {
        let at = self.at?;
        self.is_of_others(pods).then(|| EAGER.saturating_sub(at.elapsed()))
    }

    /// Whether what a pod rejects may yet be taken.
    fn may_take(&self, pod: &str) -> bool {
        self.rejecting.get(pod).is_some_and(|(_, since)| since.elapsed() < COMES)
    }

    /// Takes in what pods have said `now`.
    fn hear(&mut self, reports: BTreeMap<String, GatewayReport>, now: Instant) {
        let rejects = |(name, report): (&String, &GatewayReport)| {
            let generation = report.rejected.as_ref()?.generation;
            let before = self.rejecting.get(name).filter(|(rejected, _)| *rejected == generation);
            Some((name.clone(), (generation, before.map_or(now, |(_, since)| *since))))
        };
        self.rejecting = reports.iter().filter_map(rejects).collect();
        self.reports = reports;
    }

    /// The pods as conditions and status see them.
    pub(crate) fn states(&self, pods: &BTreeMap<String, Pod>) -> Vec<PodState> {
        let state = |(name, pod): (&String, &Pod)| PodState {
            name: name.clone(),
            ready: pod.ready,
            hindrance: pod.hindrance.clone(),
            may_take: self.may_take(name),
            report: pod.address.and_then(|_| self.reports.get(name)).cloned(),
        };
        pods.iter().filter(|(_, pod)| !pod.leaving).map(state).collect()
    }

    /// Ready pods that have an older configuration than this generation, and have not refused it for good.
    fn behind<'a>(&self, pods: &'a BTreeMap<String, Pod>, generation: i64) -> Vec<&'a String> {
        let is_behind = |name: &String| {
            let older = |report: &GatewayReport| report.generation < generation && report.rejected.is_none();
            self.reports.get(name).is_some_and(older) || self.may_take(name)
        };
        let running = pods.iter().filter(|(_, pod)| pod.ready && !pod.leaving);
        running.map(|(name, _)| name).filter(|name| is_behind(name)).collect()
    }
}

/// Asks the pods, unless their last answers are good for longer than they are old. Those that do not answer have no
/// report.
pub(crate) async fn refresh(asked: &mut Asked, pods: &BTreeMap<String, Pod>, good_for: Duration) {
    let whom = askable(pods);
    if asked.at.is_some_and(|at| at.elapsed() < good_for) {
        return;
    }
    let addresses =
        whom.iter().map(|(name, (address, _))| (name.clone(), SocketAddr::new(*address, ask::PORT)));
    let reports = ask::all(addresses.collect()).await;
    asked.hear(reports, Instant::now());
    asked.at = (!whom.is_empty()).then(Instant::now);
    asked.whom = whom;
}

fn askable(pods: &BTreeMap<String, Pod>) -> BTreeMap<String, (IpAddr, bool)> {
    let running = pods.iter().filter(|(_, pod)| !pod.leaving);
    running.filter_map(|(name, pod)| Some((name.clone(), (pod.address?, pod.ready)))).collect()
}

/// Tells pods of a new configuration or new Secrets, so that the kubelet brings them at once: all that run where
/// something has `changed` (what stands for its content), and later those that still have an older generation.
/// Returns after how long to look again.
pub(crate) async fn tell(
    shared: &Shared,
    gateway: &Key,
    asked: &mut Asked,
    pods: &BTreeMap<String, Pod>,
    generation: i64,
    changed: Option<u64>,
) -> Option<Duration> {
    if let Some(content) = changed {
        let value = format!("{generation}.{content:016x}");
        let running: Vec<_> = pods.iter().filter(|(_, pod)| pod.address.is_some() && !pod.leaving).collect();
        for (name, _) in running.iter().filter(|(_, pod)| pod.told.as_ref() != Some(&value)) {
            annotate(shared, gateway, name, names::CONFIG_GENERATION, &value).await;
        }
        asked.told = Some((value, Instant::now(), 1));
        return (!running.is_empty()).then_some(EAGER);
    }
    let behind = asked.behind(pods, generation);
    if behind.is_empty() {
        return None;
    }
    let (value, times) = match asked.told.take() {
        Some((value, at, times)) if times >= TIMES || at.elapsed() < AGAIN => {
            asked.told = Some((value, at, times));
            return Some(if times < TIMES { EAGER } else { FRESH });
        }
        Some((value, _, times)) => (value, times),
        // Told by a controller before this one, which did not live to see it.
        None => (generation.to_string(), 0),
    };
    let again = format!("{value}.{times}");
    for name in behind {
        annotate(shared, gateway, name, names::CONFIG_GENERATION, &again).await;
    }
    asked.told = Some((value, Instant::now(), times + 1));
    Some(EAGER)
}

/// Says of every pod what its end would cost, from fresh answers, so that the emptiest go first.
pub(crate) async fn weigh(shared: &Shared, gateway: &Key, asked: &mut Asked, pods: &BTreeMap<String, Pod>) {
    refresh(asked, pods, Duration::ZERO).await;
    let states = asked.states(pods);
    for (name, cost) in deletion_cost::costs(&states) {
        let cost = cost.to_string();
        if pods.get(name).is_some_and(|pod| pod.cost.as_ref() != Some(&cost)) {
            annotate(shared, gateway, name, names::DELETION_COST, &cost).await;
        }
    }
}

/// Sets an annotation of a pod. A pod that is gone needs none, and what fails is only less good.
async fn annotate(shared: &Shared, gateway: &Key, pod: &str, annotation: &str, value: &str) {
    let api: Api<v1::Pod> = Api::namespaced(shared.client.clone(), &gateway.namespace);
    let patch = json!({ "metadata": { "annotations": { annotation: value } } });
    let params = PatchParams { field_manager: Some(names::FIELD_MANAGER.into()), ..PatchParams::default() };
    if let Err(error) = api.patch_metadata(pod, &params, &Patch::Merge(&patch)).await {
        match refusal(&format!("annotate pod {}/{pod}", gateway.namespace), error) {
            Refusal::Gone => {}
            Refusal::Problem(problem) => {
                shared.metrics.problem(problem.reason);
                tracing::warn!(%gateway, reason = problem.message, "A pod could not be told.");
            }
            Refusal::Passing(error) => tracing::info!(%gateway, pod, %error, "A pod could not be told."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RejectedConfig;

    fn pod(ready: bool, leaving: bool) -> Pod {
        Pod {
            gateway: "m".into(),
            address: Some(IpAddr::from([10, 0, 0, 1])),
            ready,
            hindrance: None,
            leaving,
            told: None,
            cost: None,
        }
    }

    fn report(generation: i64) -> GatewayReport {
        GatewayReport { generation, ..GatewayReport::default() }
    }

    #[test]
    fn only_ready_pods_with_an_older_configuration_are_behind() {
        let pods: BTreeMap<String, Pod> = [
            ("new", pod(true, false)),
            ("old", pod(true, false)),
            ("leaving", pod(true, true)),
            ("starting", pod(false, false)),
            ("silent", pod(true, false)),
        ]
        .map(|(name, pod)| (name.into(), pod))
        .into();
        let mut asked = Asked { whom: askable(&pods), ..Asked::default() };
        for (name, generation) in [("new", 3), ("old", 2), ("leaving", 2), ("starting", 2)] {
            asked.reports.insert(name.into(), report(generation));
        }
        assert_eq!(asked.behind(&pods, 3), ["old"]);
        assert_eq!(asked.behind(&pods, 2), Vec::<&String>::new());
        assert_eq!((asked.good_for(&pods, 3), asked.good_for(&pods, 2)), (EAGER, FRESH));
    }

    #[test]
    fn a_pod_that_turns_ready_is_asked_at_once_but_not_twice_a_second() {
        let of = |ready| -> BTreeMap<String, Pod> { [("a".into(), pod(ready, false))].into() };
        let asked = Asked { at: Some(Instant::now()), whom: askable(&of(false)), ..Asked::default() };
        assert_eq!((asked.good_for(&of(false), 1), asked.stale_in(&of(false))), (FRESH, None));
        assert_eq!(asked.good_for(&of(true), 1), EAGER);
        assert!(asked.stale_in(&of(true)).is_some_and(|wait| wait <= EAGER));
    }

    #[test]
    fn what_a_pod_rejects_may_be_taken_until_all_must_have_come() {
        let pods: BTreeMap<String, Pod> = [("a".into(), pod(true, false))].into();
        let rejecting = |rejected: i64| -> BTreeMap<String, GatewayReport> {
            let rejected = Some(RejectedConfig { generation: Some(rejected), message: "m".into() });
            [("a".into(), GatewayReport { rejected, ..report(2) })].into()
        };
        let state = |asked: &Asked| asked.states(&pods)[0].may_take;
        let mut asked = Asked::default();
        let long_ago = Instant::now().checked_sub(COMES).unwrap();
        asked.hear(rejecting(3), long_ago + Duration::from_secs(30));
        assert!(state(&asked));
        assert_eq!(asked.behind(&pods, 3), ["a"], "it is told again");
        asked.hear(rejecting(3), long_ago);
        assert!(state(&asked), "since it was first heard of");
        asked.rejecting.insert("a".into(), (Some(3), long_ago));
        asked.hear(rejecting(3), Instant::now());
        assert!(!state(&asked));
        assert_eq!(asked.behind(&pods, 3), Vec::<&String>::new());
        asked.hear(rejecting(4), Instant::now());
        assert!(state(&asked), "another generation");
    }

    #[test]
    fn pods_that_leave_are_not_looked_at() {
        let pods: BTreeMap<String, Pod> =
            [("a".into(), pod(true, false)), ("b".into(), pod(true, true))].into();
        let states = Asked::default().states(&pods);
        assert_eq!(states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}
