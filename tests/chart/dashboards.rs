//! The dashboards are about what exists, and can be read by somebody who sees them for the first time.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{files, metric_names, stem};
use crate::support::{dashboard, queries};

/// Every dashboard with its file's name.
pub(super) fn dashboards() -> Vec<(String, Value)> {
    let names =
        files("files/dashboards", "json").iter().map(|path| stem(path).to_owned()).collect::<Vec<_>>();
    names.into_iter().map(|name| (name.clone(), dashboard(&name))).collect()
}

fn variables(dashboard: &Value) -> &Vec<Value> {
    dashboard["templating"]["list"].as_array().unwrap()
}

/// Every field `datasource` at any depth.
fn data_sources<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("datasource"));
            map.values().for_each(|value| data_sources(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| data_sources(value, found)),
        _ => {}
    }
}

#[test]
fn there_is_one_for_the_fleet_one_for_a_gateway_and_one_for_the_controller() {
    let names: Vec<_> = dashboards().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["controller", "fleet", "gateway"]);
}

#[test]
fn every_metric_of_a_dashboard_exists() {
    for (name, dashboard) in dashboards() {
        let mut expressions = queries(&name, &dashboard);
        for variable in variables(&dashboard).iter().filter(|variable| variable["type"] == "query") {
            let query = variable["query"]["query"].as_str().unwrap();
            expressions.push((format!("{name}: variable {}", variable["name"]), query.to_owned()));
        }
        metric_names::assert_exist(&expressions);
    }
}

#[test]
fn data_comes_from_the_source_that_is_picked() {
    for (name, dashboard) in dashboards() {
        assert_eq!(variables(&dashboard)[0]["type"], "datasource", "{name}");
        let mut found = Vec::new();
        data_sources(&dashboard, &mut found);
        assert!(found.len() > 10, "{name}: are they still called so?");
        for source in found {
            assert_eq!(source["uid"], "${datasource}", "{name}");
        }
    }
}

#[test]
fn every_variable_of_a_query_is_one_of_the_dashboard() {
    let used = regex::Regex::new(r"\$\{?([a-z][a-z_]*)").unwrap();
    for (name, dashboard) in dashboards() {
        let known: BTreeSet<_> =
            variables(&dashboard).iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert!(known.contains("namespace"), "{name}");
        for (place, query) in queries(&name, &dashboard) {
            for variable in used.captures_iter(&query) {
                assert!(known.contains(&variable[1]), "{place}: no variable {}", &variable[1]);
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for (name, dashboard) in dashboards() {
        let mut titles = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            if panel["type"] == "row" {
                continue;
            }
            assert!(titles.insert(title), "{name} has two panels {title}");
            let description = panel["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{name}: {title}: {description:?}");
            let unit = if panel["type"] == "table" {
                &panel["fieldConfig"]["overrides"][0]["properties"][0]["value"]
            } else {
                &panel["fieldConfig"]["defaults"]["unit"]
            };
            assert!(unit.is_string(), "{name}: {title} has no unit");
        }
    }
}

#[test]
fn panels_do_not_lie_on_each_other() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}: {} is beyond the edge", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: an id is used twice");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{name}: {} lies on another", panel["title"]);
                }
            }
        }
    }
}
