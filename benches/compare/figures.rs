//! What rows say together: medians over the rounds, and ratios within a round.

use crate::row::Row;

/// A median with its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    /// Made of rows that do not count, since there are no others.
    pub(crate) invalid: bool,
}

/// What a row holds of it.
pub(crate) type Field = fn(&Row) -> Option<f64>;

/// A field of a peer's rows of a workload, over the rounds.
pub(crate) fn figure(rows: &[Row], work: &str, peer: &str, field: Field) -> Option<Figure> {
    let own = rows.iter().filter(|row| row.work == work && row.peer == peer);
    median(own.filter_map(|row| Some((field(row)?, row.invalid.is_empty()))).collect())
}

/// The same as a multiple of what another peer had in the same round.
pub(crate) fn ratio(rows: &[Row], work: &str, peer: &str, base: &str, field: Field) -> Option<Figure> {
    let own = rows.iter().filter(|row| row.work == work && row.peer == peer);
    let pairs = own.filter_map(|row| {
        let other =
            rows.iter().find(|other| other.work == work && other.peer == base && other.round == row.round)?;
        let ratio = field(row)? / field(other)?;
        ratio.is_finite().then_some((ratio, row.invalid.is_empty() && other.invalid.is_empty()))
    });
    median(pairs.collect())
}

/// Of the values that count, if any do.
fn median(values: Vec<(f64, bool)>) -> Option<Figure> {
    let invalid = !values.iter().any(|(_, counts)| *counts);
    let used = values.into_iter().filter(|(_, counts)| invalid || *counts);
    let mut used: Vec<f64> = used.map(|(value, _)| value).collect();
    used.sort_by(f64::total_cmp);
    let (lowest, highest) = (*used.first()?, *used.last()?);
    let middle = used.len() / 2;
    let median =
        if used.len() % 2 == 1 { used[middle] } else { f64::midpoint(used[middle - 1], used[middle]) };
    Some(Figure { median, lowest, highest, invalid })
}
