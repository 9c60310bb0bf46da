//! The document, its plots and the raw file, of the rows.

use std::{fmt::Write as _, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    bars::{self, Measured},
    figures::{Field, Figure, figure, ratio},
    peers::Kind,
    plot::{Bar, svg},
    row::Row,
    work::{BURSTS, FAN, HOT, IDLE, SINGLES, SLOW_READERS, SPREAD, TLS, TLS_BURSTS},
};

/// All of a run, as the raw file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    /// What was measured where: names and values, in the order of the document.
    pub(crate) machine: Vec<(String, String)>,
    /// Peers with their versions; `None` where one was not installed.
    pub(crate) peers: Vec<(String, Option<String>)>,
    pub(crate) rows: Vec<Row>,
}

/// A column of a table.
struct Column {
    head: &'static str,
    work: &'static str,
    field: Field,
    /// The value as it is written.
    shown: fn(f64) -> String,
}

const DELIVERIES: [Column; 4] = [
    Column { head: "1 topic × 1 000", work: SINGLES, field: nanos, shown: whole },
    Column { head: "the same in bursts of 16", work: BURSTS, field: nanos, shown: whole },
    Column { head: "1 topic × 10 000", work: FAN, field: nanos, shown: whole },
    Column { head: "10 000 topics × 1", work: SPREAD, field: nanos, shown: whole },
];
const WITHIN_TLS: [Column; 2] = [
    Column { head: "1 topic × 1 000, within TLS", work: TLS, field: nanos, shown: whole },
    Column { head: "the same in bursts of 16", work: TLS_BURSTS, field: nanos, shown: whole },
];
const REST: [Column; 4] = [
    Column {
        head: "hot topic, deliveries/s",
        work: HOT,
        field: |row| row.deliveries_per_second,
        shown: millions,
    },
    Column { head: "memory per connection", work: IDLE, field: |row| row.bytes_per_connection, shown: whole },
    Column { head: "CPU per connect", work: IDLE, field: |row| row.micros_per_connect, shown: tenths },
    Column { head: "memory with slow readers", work: SLOW_READERS, field: |row| row.bytes, shown: megabytes },
];
const LATENCIES: [Column; 4] = [
    Column { head: "hot topic, p50 ms", work: HOT, field: |row| row.p50_ms, shown: tenths },
    Column { head: "hot topic, p99 ms", work: HOT, field: |row| row.p99_ms, shown: tenths },
    Column {
        head: "beside slow readers, p99 ms",
        work: SLOW_READERS,
        field: |row| row.p99_ms,
        shown: tenths,
    },
    Column {
        head: "slow readers, MB more",
        work: SLOW_READERS,
        field: |row| row.bytes_more,
        shown: megabytes,
    },
];

fn nanos(row: &Row) -> Option<f64> {
    row.nanos_per_delivery
}

fn whole(value: f64) -> String {
    // Groups of three digits.
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

fn millions(value: f64) -> String {
    format!("{:.2} M", value / 1e6)
}

fn megabytes(value: f64) -> String {
    format!("{:.1}", value / 1e6)
}

/// Writes everything below this folder.
pub(crate) fn write(run: &Run, docs: &Path) {
    let folder = docs.join("performance");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("raw.json"), raw(run)).unwrap();
    for (name, title, column) in plots() {
        fs::write(folder.join(name), svg(title, &bars(run, column))).unwrap();
    }
    fs::write(docs.join("performance.md"), document(run, &bars::measured(&folder))).unwrap();
}

/// JSON with a line for each row.
fn raw(run: &Run) -> String {
    let rows: Vec<String> = run.rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
    format!(
        "{{\"machine\": {},\n\"peers\": {},\n\"rows\": [\n{}\n]}}\n",
        serde_json::to_string(&run.machine).unwrap(),
        serde_json::to_string(&run.peers).unwrap(),
        rows.join(",\n")
    )
}

fn plots() -> [(&'static str, &'static str, &'static Column); 6] {
    [
        (
            "singles.svg",
            "ns of CPU per delivery: 1 topic, 1 000 subscribers (less is better)",
            &DELIVERIES[0],
        ),
        ("bursts.svg", "ns of CPU per delivery: the same in bursts of 16 (less is better)", &DELIVERIES[1]),
        (
            "spread.svg",
            "ns of CPU per delivery: 10 000 topics, 1 subscriber each (less is better)",
            &DELIVERIES[3],
        ),
        ("hot.svg", "deliveries a second on one core: 1 topic, 1 000 subscribers (more is better)", &REST[0]),
        ("memory.svg", "bytes of memory per idle subscribed connection (less is better)", &REST[1]),
        ("slow.svg", "MB of memory while 10 of 50 do not read (less is better)", &REST[3]),
    ]
}

fn bars(run: &Run, column: &Column) -> Vec<Bar> {
    let bar = |kind: &Kind| {
        let figure = figure(&run.rows, column.work, kind.name(), column.field)?;
        Some(Bar {
            name: kind.name().into(),
            value: figure.median,
            text: format!("{}{}", (column.shown)(figure.median), mark(figure)),
            invalid: figure.invalid,
            ours: *kind == Kind::TopicGateway,
        })
    };
    Kind::ALL.iter().filter_map(bar).collect()
}

fn document(run: &Run, measured: &[Measured]) -> String {
    let mut out = String::from(INTRODUCTION);
    if run.machine.iter().any(|(_, value)| value.contains("--quick")) {
        out += "\n**This is a first look** (`--quick`): too few rounds to quote a figure of it.\n";
    }
    out += "\n## Ratios\n\nCPU time of the server per delivery, as a multiple of the floor's in the same round. Less is \
            better.\n\n";
    table(&mut out, &DELIVERIES, |column, peer| {
        ratio(&run.rows, column.work, peer, "floor", column.field).map(multiple)
    });
    out += "\nAs a multiple of topic-gateway's in the same round. More deliveries are better, and less of all else.\n\n";
    table(&mut out, &REST, |column, peer| {
        ratio(&run.rows, column.work, peer, "topic-gateway", column.field).map(multiple)
    });
    out += "\n";
    table(&mut out, &WITHIN_TLS, |column, peer| {
        ratio(&run.rows, column.work, peer, "topic-gateway", column.field).map(multiple)
    });
    out += "\n(invalid): does not count, for the reason [below](#what-does-not-count). –: not measured.\n\n";
    for (name, title, _) in plots() {
        writeln!(out, "![{title}](performance/{name})").unwrap();
    }
    bars::write(&mut out, &run.rows, measured);
    out += "\n## Absolute\n\nMedians, and the lowest and highest of all rounds. They are this machine's, on this day; \
            ratios travel better. CPU time per delivery in ns:\n\n";
    let absolute = |column: &Column, peer: &str| {
        let figure = figure(&run.rows, column.work, peer, column.field)?;
        let Figure { median, lowest, highest, .. } = figure;
        let shown = column.shown;
        let range = if lowest < highest {
            format!(" ({}–{})", shown(lowest), shown(highest))
        } else {
            String::new()
        };
        Some(format!("{}{range}{}", shown(median), mark(figure)))
    };
    table(&mut out, &DELIVERIES, absolute);
    out += "\n";
    table(&mut out, &WITHIN_TLS, absolute);
    out += "\nDeliveries a second; bytes per connection; µs of CPU per connection that was opened and subscribed; MB:\n\n";
    table(&mut out, &REST, absolute);
    out += "\n";
    table(&mut out, &LATENCIES, absolute);
    out += "\n## What does not count\n\n";
    invalid(&mut out, run);
    out += METHOD;
    out += "\n## This run\n\n| | |\n|---|---|\n";
    for (name, value) in &run.machine {
        writeln!(out, "| {name} | {value} |").unwrap();
    }
    for (peer, version) in &run.peers {
        let version =
            version.as_deref().unwrap_or("not measured: it could not be installed, or was not asked for");
        writeln!(out, "| {peer} | {version} |").unwrap();
    }
    out
}

/// A ratio with its mark.
fn multiple(ratio: Figure) -> String {
    format!("{:.2}{}", ratio.median, mark(ratio))
}

fn mark(figure: Figure) -> &'static str {
    if figure.invalid { " (invalid)" } else { "" }
}

fn table(out: &mut String, columns: &[Column], cell: impl Fn(&Column, &str) -> Option<String>) {
    let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
    writeln!(out, "| | {} |\n|---{}|", heads.join(" | "), "|---".repeat(columns.len())).unwrap();
    for kind in Kind::ALL {
        let cells: Vec<Option<String>> = columns.iter().map(|column| cell(column, kind.name())).collect();
        if cells.iter().any(Option::is_some) {
            let cells: Vec<_> = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into())).collect();
            let name = kind.name();
            let name = if kind == Kind::TopicGateway { format!("**{name}**") } else { name.into() };
            writeln!(out, "| {name} | {} |", cells.join(" | ")).unwrap();
        }
    }
}

fn invalid(out: &mut String, run: &Run) {
    let mut any = false;
    for row in run.rows.iter().filter(|row| !row.invalid.is_empty()) {
        any = true;
        writeln!(out, "- {} of {}, round {}: {}", row.work, row.peer, row.round, row.invalid.join("; "))
            .unwrap();
    }
    if !any {
        *out += "Nothing: in each round every message arrived, and neither side was held up by the other.\n";
    }
}

const INTRODUCTION: &str = include_str!("introduction.md");
const METHOD: &str = include_str!("method.md");
