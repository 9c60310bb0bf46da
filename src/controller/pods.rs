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
/// The same while some are yet to take over what they were told of: gateways look at their files about once a second.
const EAGER: Duration = Duration::from_secs(1);
/// A pod that has not taken over what it was told of is told again after so long …
const AGAIN: Duration = Duration::from_secs(15);
/// … and so often.
const TIMES: u32 = 5;

/// What the pods of a gateway have said. Bounded by the number of pods.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    at: Option<Instant>,
    /// Those that were asked, with their state.
    whom: BTreeMap<String, (IpAddr, bool)>,
    reports: BTreeMap<String, GatewayReport>,
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
        if self.behind(pods, generation).is_empty() { FRESH } else { EAGER }
    }

    /// What the last answers, if they are good for the time being, leave to be asked after a while.
    pub(crate) fn stale_in(&self, pods: &BTreeMap<String, Pod>) -> Option<Duration> {
        let at = self.at?;
        self.is_of_others(pods).then(|| FRESH.saturating_sub(at.elapsed()))
    }

    /// The pods as conditions and status see them.
    pub(crate) fn states(&self, pods: &BTreeMap<String, Pod>) -> Vec<PodState> {
        let state = |(name, pod): (&String, &Pod)| PodState {
            name: name.clone(),
            ready: pod.ready,
            hindrance: pod.hindrance.clone(),
            report: pod.address.and_then(|_| self.reports.get(name)).cloned(),
        };
        pods.iter().filter(|(_, pod)| !pod.leaving).map(state).collect()
    }

    /// Ready pods that have an older configuration than this generation, and have not refused it.
    fn behind<'a>(&self, pods: &'a BTreeMap<String, Pod>, generation: i64) -> Vec<&'a String> {
        let is_behind = |name: &String| {
            self.reports
                .get(name)
                .is_some_and(|report| report.generation < generation && report.rejected.is_none())
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
    asked.reports = ask::all(addresses.collect()).await;
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
        let mut asked = Asked::default();
        for (name, generation) in [("new", 3), ("old", 2), ("leaving", 2), ("starting", 2)] {
            asked.reports.insert(name.into(), report(generation));
        }
        assert_eq!(asked.behind(&pods, 3), ["old"]);
        assert_eq!(asked.behind(&pods, 2), Vec::<&String>::new());
        assert_eq!((asked.good_for(&pods, 3), asked.good_for(&pods, 2)), (EAGER, FRESH));
    }

    #[test]
    fn pods_that_leave_are_not_looked_at() {
        let pods: BTreeMap<String, Pod> =
            [("a".into(), pod(true, false)), ("b".into(), pod(true, true))].into();
        let states = Asked::default().states(&pods);
        assert_eq!(states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}
