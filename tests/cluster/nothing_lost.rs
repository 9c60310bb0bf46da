//! Pods are replaced, again and again, while hundreds of clients follow topics and publishers publish. The checker
//! judges what everybody saw, as it does for the faults on processes of this machine (`tests/faults`).
//!
//! A short run, unless `TOPIC_GATEWAY_FAULTS` says `SECONDS SEED CLIENTS RATE`; `tests/run rollouts` does.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::{
    audience::{Size, resource},
    cluster::{image, next_image, shared, wait_for},
    gateway::{Gateway, nats_with_streams, wait_until_available},
    namespace::Namespace,
    watched::Watched,
};

const REPLICAS: usize = 2;
/// Over which a pod that goes away spreads the closes of its connections.
const DRAIN_SECONDS: u64 = 4;

/// Of so many clients and at such a pace that other scenarios can run beside it.
fn size() -> Size {
    Size::of_environment(Size { rate: 600.0, ..Size::new(35, 1, 200) })
}

#[test]
fn nobody_loses_or_gets_a_message_twice_while_the_pods_are_replaced() {
    let _cluster = shared();
    let (size, namespace) = (size(), Namespace::new("nothing-lost"));
    println!("{size:?}");
    let gateway = on_a_stream(&namespace);
    let watched = Watched::gather(&namespace, gateway, size, true);

    let replaced = replace_pods(&namespace, gateway, size);
    let (sessions, tally) = (watched.sessions, watched.audience.crowd.tally.clone());
    println!("{replaced} pods were replaced");
    watched.assert_nothing_was_lost(&namespace);
    assert!(tally.of("resumed") >= sessions, "everybody was on a pod that was replaced");
    gateway.wait_for_reports(REPLICAS, "have nobody left", |pod| {
        pod["connections"] == 0 && pod["subscriptions"] == 0
    });
}

/// Two pods of a gateway and one of NATS, with a stream that the controller has made and both pods have found.
fn on_a_stream(namespace: &Namespace) -> Gateway<'_> {
    namespace.apply(&nats_with_streams());
    wait_until_available(namespace, "nats");
    let resource = resource("nats://nats:4222", DRAIN_SECONDS).set("replicas", json!(REPLICAS));
    namespace.apply(&resource.set("drain.preStopSeconds", json!(2)).yaml());
    let gateway = Gateway::new(namespace, "test");
    gateway.wait_until_ready(REPLICAS);
    gateway.wait_for_reports(REPLICAS, "have found the stream", |pod| pod["feed"] == "RePublish");
    gateway
}

/// Rolls another image out and deletes a pod, in turn and at least once each; gives how many pods that has replaced.
fn replace_pods(namespace: &Namespace, gateway: Gateway<'_>, size: Size) -> usize {
    let (began, mut random) = (Instant::now(), StdRng::seed_from_u64(size.seed));
    let mut pause = || sleep(Duration::from_millis(random.random_range(0..2_000)));
    let mut replaced = 0;
    for image in [next_image(), image()].iter().cycle() {
        pause();
        println!("  {:6.2} s: {image} is rolled out", began.elapsed().as_secs_f64());
        let before = gateway.pods();
        gateway.edit(json!({"pod": {"image": image}}));
        wait_until_replaced(gateway, &before);

        pause();
        let victim = gateway.pods().swap_remove(0);
        println!("  {:6.2} s: {victim} is deleted", began.elapsed().as_secs_f64());
        namespace.kubectl(&["delete", "pod", &victim, "--wait=false"]);
        wait_until_replaced(gateway, &[victim]);
        replaced += REPLICAS + 1;
        if began.elapsed() >= size.length {
            break;
        }
    }
    replaced
}

/// Waits until these pods are gone and others serve in their place.
fn wait_until_replaced(gateway: Gateway<'_>, before: &[String]) {
    wait_for(&format!("{} are gone", before.join(" and ")), || {
        let pods = gateway.pods();
        if before.iter().any(|old| pods.contains(old)) { Err(pods.join(" ")) } else { Ok(()) }
    });
    gateway.wait_until_ready(REPLICAS);
}
