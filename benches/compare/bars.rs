//! What was aimed at, and whether it is held: of the rows, and of what the bench of the gateway alone has measured.

use std::{fmt::Write as _, fs, path::Path};

use serde::Deserialize;

use crate::{
    figures::{Field, figure, ratio},
    row::Row,
    work::{BURSTS, FAN, HOT, SINGLES, SPREAD, TLS},
};

/// A figure of `cargo bench --bench delivery`.
#[derive(Debug, Deserialize)]
pub(crate) struct Measured {
    text: String,
    good: bool,
}

/// What that bench has written beside the rows; nothing if it has not.
pub(crate) fn measured(folder: &Path) -> Vec<Measured> {
    let text = fs::read_to_string(folder.join("bars.json")).ok();
    text.map(|text| serde_json::from_str(&text).expect("figures of the delivery bench")).unwrap_or_default()
}

/// A bar on a ratio to another peer's figure in the same round.
struct Bar {
    text: &'static str,
    work: &'static str,
    than: &'static str,
    field: Field,
    /// At most so much, or at least.
    most: Option<f64>,
    least: Option<f64>,
}

const fn at_most(text: &'static str, work: &'static str, than: &'static str, most: f64) -> Bar {
    Bar { text, work, than, field: |row| row.nanos_per_delivery, most: Some(most), least: None }
}

const BARS: [Bar; 8] = [
    at_most("1 topic × 1 000: CPU per delivery of the floor's", SINGLES, "floor", 1.10),
    at_most("the same of Bun's", SINGLES, "bun", 1.0),
    at_most("in bursts of 16: of the floor's", BURSTS, "floor", 1.15),
    at_most("the same of Bun's", BURSTS, "bun", 1.0),
    Bar {
        text: "hot topic: deliveries a second of Bun's",
        work: HOT,
        than: "bun",
        field: |row| row.deliveries_per_second,
        most: None,
        least: Some(1.5),
    },
    at_most("1 topic × 10 000: CPU per delivery of Bun's", FAN, "bun", 0.92),
    at_most("10 000 topics × 1: CPU per delivery of Bun's", SPREAD, "bun", 0.92),
    at_most("within TLS: CPU per delivery of Bun's, the cheapest of the others", TLS, "bun", 1.30),
];

/// A table of all bars.
pub(crate) fn write(out: &mut String, rows: &[Row], measured: &[Measured]) {
    *out += "\n## Bars\n\nWhat was aimed at. The first ones are ratios of the rows below.\n\n| | bar | measured | |\n|---|---|---|---|\n";
    for bar in &BARS {
        let Some(ratio) = ratio(rows, bar.work, "topic-gateway", bar.than, bar.field) else { continue };
        let held = bar.most.is_none_or(|most| ratio.median <= most)
            && bar.least.is_none_or(|least| ratio.median >= least);
        let limit = match (bar.most, bar.least) {
            (Some(most), _) => format!("≤ {most:.2} ×"),
            (_, least) => format!("≥ {:.2} ×", least.unwrap_or_default()),
        };
        writeln!(out, "| {} | {limit} | {:.2} × | {} |", bar.text, ratio.median, word(held)).unwrap();
    }
    if let Some(p99) = figure(rows, HOT, "topic-gateway", |row| row.p99_ms) {
        let held = word(p99.median < 50.0);
        writeln!(out, "| hot topic: p99 | < 50 ms | {:.1} ms | {held} |", p99.median).unwrap();
    }
    *out += REASONS;
    if measured.is_empty() {
        return;
    }
    *out += "\nOf the gateway alone, by `cargo bench --bench delivery`:\n\n| | |\n|---|---|\n";
    for Measured { text, good } in measured {
        writeln!(out, "| {text} | {} |", word(*good)).unwrap();
    }
}

fn word(held: bool) -> &'static str {
    if held { "held" } else { "**missed**" }
}

const REASONS: &str = include_str!("reasons.md");
