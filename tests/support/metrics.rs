//! The Prometheus text format, read as Prometheus reads it.

use std::{collections::BTreeMap, fmt};

/// One scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads a whole scrape; panics on a line that is not of the format.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}"))).collect())
    }

    /// The sum of all series of that name whose labels include these; 0 without any.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// How many series of that name have these labels.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(name, labels).count()
    }

    /// Whether there is a series of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.count(name, &[]) > 0
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|sample| sample.name.as_str())
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            let has = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|held| held == value);
            sample.name == name && labels.iter().all(has)
        })
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|sample| writeln!(f, "{} {:?} {}", sample.name, sample.labels, sample.value))
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.into(), labels: BTreeMap::new(), value });
    };
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while let Some((key, after)) = rest.split_once("=\"") {
        let (text, after) = quoted(after)?;
        labels.insert(key.into(), text);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    rest.is_empty().then(|| Sample { name: name.into(), labels, value })
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[test]
fn a_scrape_is_read_with_its_labels() {
    let metrics =
        Metrics::parse("# HELP a b\n# TYPE a gauge\na{x=\"1\",y=\"a\\\"b,c=\"} 2\na{x=\"2\"} 3\nb 4.5\n");
    assert!((metrics.sum("a", &[]) - 5.0).abs() < 1e-9);
    assert!((metrics.sum("a", &[("y", "a\"b,c=")]) - 2.0).abs() < 1e-9);
    assert_eq!(metrics.count("a", &[("x", "3")]), 0);
    assert!(metrics.has("b") && !metrics.has("c"));
}
