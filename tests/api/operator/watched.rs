//! What a real Prometheus sees of a controller.

use serde_json::{Value, json};

use super::{Controller, Namespace, gateway, wait_long};
use crate::support::{Prometheus, about_everything, dashboard, queries};

/// Scrapes a controller as the chart has it scraped.
#[track_caller]
fn watching(controller: &Controller) -> Prometheus {
    let target = json!({
        "targets": [controller.admin.to_string()],
        "labels": {"namespace": "topic-gateway"},
    });
    Prometheus::start(
        &json!({
            "global": {"scrape_interval": "500ms"},
            "scrape_configs": [{"job_name": "controller", "static_configs": [target]}],
        }),
        &[],
    )
}

#[test]
fn every_query_of_the_controllers_dashboard_finds_data_while_it_works() {
    let namespace = Namespace::new("watched");
    let controller = Controller::start_with(&namespace, &[]);
    namespace.apply(&gateway(json!({"replicas": 2})));
    namespace.wait("tgw/m", |it| it["status"]["replicas"] == 2);
    let prometheus = watching(&controller);
    let mut edits = 0;
    for (place, query) in queries("controller", &dashboard("controller")) {
        let query = about_everything(&query);
        wait_long(&format!("{place} finds data: {query}"), || {
            edits += 1;
            namespace.kubectl(&["annotate", "--overwrite", "tgw/m", &format!("edit={edits}")]);
            let samples: Vec<(Value, f64)> = prometheus.query(&query);
            if samples.iter().any(|(_, value)| !value.is_nan()) {
                Ok(())
            } else {
                Err(format!("{samples:?}"))
            }
        });
    }
}
