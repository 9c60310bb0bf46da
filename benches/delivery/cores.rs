//! Two shards against one: what a delivery costs when a gateway has both cores, which it shares with the generator.

use crate::{
    generator::Bed,
    measure::{Figure, median, settle},
    placing::SERVER_CORE,
    readers::Look,
};

const TOPIC: &str = "bench.hot";
const SUBSCRIBERS: usize = 1_000;
const BOTH: &str = "0,1";
/// By how much more a delivery may cost: the scheduler's noise.
const BAR: f64 = 1.05;

/// CPU per delivery on one core and on two, A B A B.
pub(crate) fn run(rounds: usize, raw: &mut Vec<String>) -> Vec<Figure> {
    [1, 16].map(|burst| compare(burst, rounds, raw)).into()
}

fn compare(burst: u8, rounds: usize, raw: &mut Vec<String>) -> Figure {
    let mut beds = [SERVER_CORE, BOTH].map(|cores| {
        let mut bed = Bed::on(cores);
        let mut readers = bed.readers(&[TOPIC], SUBSCRIBERS, Look::Count);
        settle(&mut readers);
        (bed, readers)
    });
    let mut nanos = [Vec::new(), Vec::new()];
    // One round more, which warms up and does not count.
    for round in 0..=rounds {
        for ((bed, readers), nanos) in beds.iter_mut().zip(&mut nanos) {
            let cost = bed.cost(readers, TOPIC, burst, SUBSCRIBERS);
            if round > 0 {
                nanos.push(cost);
            }
        }
    }
    raw.push(format!("bursts of {burst}, one shard, ns per delivery:  {:.0?}", nanos[0]));
    raw.push(format!("bursts of {burst}, two shards, ns per delivery: {:.0?}", nanos[1]));
    let mut ratios: Vec<f64> = nanos[1].iter().zip(&nanos[0]).map(|(two, one)| two / one).collect();
    let ratio = median(&mut ratios);
    let text = format!(
        "CPU per delivery of two shards on two cores, bursts of {burst}: {ratio:.3} x one on one (bar {BAR})"
    );
    Figure { text, good: ratio <= BAR }
}
