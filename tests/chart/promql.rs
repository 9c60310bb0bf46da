//! Which metrics an expression of Prometheus asks for. Not a parser: it takes away what cannot be a metric's name.

use regex::Regex;

/// Words of the language that stand where a name could.
const WORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];

/// Names of metrics in an expression, or in a query of a Grafana variable (`label_values(metric, label)`).
pub(super) fn metrics(expression: &str) -> Vec<String> {
    let mut text = expression.to_owned();
    if text.starts_with("label_values(")
        && let Some((query, _label)) = text.rsplit_once(',')
    {
        text = query.to_owned();
    }
    // Values of labels, then labels, ranges, and groups of labels.
    for taken in [
        r#""[^"]*""#,
        r"\{[^}]*\}",
        r"\[[^\]]*\]",
        r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)",
        r"\b[0-9][0-9.e]*[a-z]*",
    ] {
        text = Regex::new(taken).unwrap().replace_all(&text, " ").into_owned();
    }
    let names = Regex::new(r"[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?").unwrap();
    let names = names.find_iter(&text).map(|found| found.as_str().trim());
    let functions_left_out = names.filter(|name| !name.ends_with('('));
    functions_left_out.filter(|name| !WORDS.contains(name)).map(str::to_owned).collect()
}

#[test]
fn names_of_metrics_are_found_and_nothing_else() {
    let expression = r#"sum by (job, le) (rate(a_bucket{x=~"b.*", y!="c}"}[5m] offset 1h)) / on (job) group_left (z)
        (d > bool 1e9) and absent(e)"#;
    assert_eq!(metrics(expression), ["a_bucket", "d", "e"]);
    assert_eq!(metrics(r#"label_values(f{g="$h"}, i)"#), ["f"]);
    assert_eq!(metrics("histogram_quantile(0.99, j) or vector(0)"), ["j"]);
}
