//! What the repository offers to apply, as a real API server takes it.

use std::{fs, io::Write as _, path::Path, process::Command, process::Stdio};

use crate::{
    cluster::{helm, image_values, path, shared},
    gateway::example,
    namespace::Namespace,
};

/// Applies as a trial; gives what the API server warns of.
#[track_caller]
fn try_out(namespace: &Namespace, what: &str, yaml: &str) {
    let mut child = Command::new("kubectl")
        .args(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"])
        .args(["--namespace", namespace.name(), "--filename=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {told}");
    // Among others: what the restricted profile would not admit.
    assert!(!told.contains("Warning"), "{what}: {told}");
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().path());
    let yaml = |path: &Path| path.extension().is_some_and(|extension| extension == "yaml");
    let mut names: Vec<_> = entries
        .filter(|path| yaml(path))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} has no YAML: is the search still right?");
    names
}

#[test]
fn the_api_server_takes_every_object_of_the_chart_under_the_restricted_profile() {
    let _cluster = shared();
    let namespace = Namespace::new("admission");
    for file in files("charts/topic-gateway/ci") {
        let values = format!("--values={}", path(&format!("charts/topic-gateway/ci/{file}")));
        let chart = path("charts/topic-gateway");
        let mut command = vec!["template", "trial", &chart, "--namespace", namespace.name(), &values];
        // Namespaces must be there.
        command.push(match &*file {
            "namespaced-values.yaml" => "--set=watchNamespaces={admission}",
            _ => "--set=metrics.dashboards.namespace=admission",
        });
        let image = image_values();
        command.extend(image.iter().map(String::as_str));
        try_out(&namespace, &file, &helm(&command));
    }
}

#[test]
fn the_api_server_takes_every_example() {
    let _cluster = shared();
    let namespace = Namespace::new("examples");
    for folder in ["", "endpoints/", "full-example/", "price-feed/"] {
        for file in files(&format!("examples/{folder}")) {
            let text = served(&example(&format!("{folder}{file}")));
            try_out(&namespace, &file, &text.replace("namespace: prices", "namespace: examples"));
        }
    }
}

/// Without what is KEDA's: this cluster does not have it.
fn served(yaml: &str) -> String {
    let documents = yaml.split("\n---\n").filter(|document| !document.contains("apiVersion: keda.sh/"));
    documents.collect::<Vec<_>>().join("\n---\n")
}
