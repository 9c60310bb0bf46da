//! Which pods go first when there are to be fewer: those whose end the fewest clients notice.

use super::observed::PodState;

/// The value of [`DELETION_COST`](super::names::DELETION_COST) for every pod, the one to go first at the front. Among
/// equals the name decides, so that the order is always the same.
pub(crate) fn costs(pods: &[PodState]) -> Vec<(&str, i32)> {
    let mut costs: Vec<_> = pods.iter().map(|pod| (pod.name.as_str(), cost(pod))).collect();
    costs.sort_by_key(|(name, cost)| (*cost, *name));
    costs
}

/// Its connections. A pod that is not ready goes before all others; one that does not tell may be full and goes last.
fn cost(pod: &PodState) -> i32 {
    match &pod.report {
        _ if !pod.ready => -1,
        Some(report) => i32::try_from(report.connections).unwrap_or(i32::MAX),
        None => i32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Feed, GatewayReport};

    fn pod(name: &str, ready: bool, connections: Option<u64>) -> PodState {
        let report = connections.map(|connections| GatewayReport {
            generation: 1,
            connections,
            subscriptions: 0,
            backbone_connected: true,
            feed: Feed::Core,
            stream_trouble: None,
            draining: false,
            rejected: None,
        });
        PodState { name: name.into(), ready, report, ..PodState::default() }
    }

    #[test]
    fn the_emptiest_pod_goes_first() {
        let pods = [pod("a", true, Some(500)), pod("b", true, Some(2)), pod("c", true, Some(30))];
        assert_eq!(costs(&pods), [("b", 2), ("c", 30), ("a", 500)]);
    }

    #[test]
    fn a_pod_that_is_not_ready_goes_before_all() {
        let pods = [pod("a", true, Some(0)), pod("b", false, Some(900)), pod("c", false, None)];
        assert_eq!(costs(&pods), [("b", -1), ("c", -1), ("a", 0)]);
    }

    #[test]
    fn a_pod_that_does_not_tell_goes_last() {
        let pods = [pod("a", true, None), pod("b", true, Some(u64::MAX)), pod("c", true, Some(7))];
        assert_eq!(costs(&pods), [("c", 7), ("a", i32::MAX), ("b", i32::MAX)]);
    }

    #[test]
    fn equals_go_by_name() {
        let pods = [pod("b", true, Some(1)), pod("a", true, Some(1))];
        assert_eq!(costs(&pods), [("a", 1), ("b", 1)]);
    }
}
