//! The cluster that all scenarios share, and the controller in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::kubectl::{kubectl, try_kubectl};

/// Name of the release and of its namespace.
pub(crate) const RELEASE: &str = "topic-gateway";
/// How long anything may take that Kubernetes does in a second or two when nobody else works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Many scenarios that leave the cluster whole, or one that does not.
static CLUSTER: RwLock<()> = RwLock::new(());
/// Whether the shared controller is installed.
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// The cluster shared with other scenarios, with a controller; for as long as it is held.
pub(crate) struct Shared(#[allow(dead_code, reason = "held")] RwLockReadGuard<'static, ()>);

/// The cluster alone.
pub(crate) struct Alone(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>);

/// Shares the cluster with others.
#[track_caller]
pub(crate) fn shared() -> Shared {
    let guard = CLUSTER.read().unwrap_or_else(PoisonError::into_inner);
    install_once();
    Shared(guard)
}

/// Waits until nobody else uses the cluster, and keeps others from it.
#[track_caller]
pub(crate) fn alone() -> Alone {
    let guard = CLUSTER.write().unwrap_or_else(PoisonError::into_inner);
    install_once();
    Alone(guard)
}

/// The cluster alone and without a controller.
#[track_caller]
pub(crate) fn bare() -> Alone {
    let guard = CLUSTER.write().unwrap_or_else(PoisonError::into_inner);
    foreign_definitions();
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    *installed = false;
    helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait", "--ignore-not-found"]);
    own_namespace();
    Alone(guard)
}

fn install_once() {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        foreign_definitions();
        own_namespace();
        let chart = chart();
        let command = ["upgrade", RELEASE, &chart, "--install", "--namespace", RELEASE, "--wait"];
        let image = image_values();
        helm(&[&command[..], &image.iter().map(String::as_str).collect::<Vec<_>>()].concat());
        *installed = true;
    }
}

/// The controller's namespace admits nothing beyond the restricted profile either.
fn own_namespace() {
    let labels = "labels: {pod-security.kubernetes.io/enforce: restricted}";
    let yaml = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {RELEASE}, {labels}}}}}");
    kubectl(&["apply", "-f", "-"], &yaml);
}

/// Brings the definitions of the Prometheus operator and of the Gateway API, of which the controller makes use.
fn foreign_definitions() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for project in ["prometheus-operator", "gateway-api"] {
            let output = Command::new(root().join("tests/cluster/crds")).arg(project).output().unwrap();
            assert!(output.status.success(), "{project}: {}", String::from_utf8_lossy(&output.stderr));
        }
    });
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The chart's folder.
pub(crate) fn chart() -> String {
    path("charts/topic-gateway")
}

/// A path of the repository.
pub(crate) fn path(relative: &str) -> String {
    root().join(relative).to_str().unwrap().to_owned()
}

/// The image under test.
pub(crate) fn image() -> String {
    env::var("TOPIC_GATEWAY_IMAGE").expect("TOPIC_GATEWAY_IMAGE names the image under test")
}

/// The same under another name, to be rolled out.
pub(crate) fn next_image() -> String {
    env::var("TOPIC_GATEWAY_NEXT_IMAGE").expect("TOPIC_GATEWAY_NEXT_IMAGE names the same image once more")
}

/// The chart's values for the image under test.
pub(crate) fn image_values() -> [String; 2] {
    let image = image();
    let (repository, tag) = image.rsplit_once(':').expect("TOPIC_GATEWAY_IMAGE has a tag");
    ["repository", "tag"].map(|part| {
        let value = if part == "tag" { tag } else { repository };
        format!("--set=image.{part}={value}")
    })
}

/// Runs Helm with nothing of the machine's but access to the cluster, and returns what it printed.
#[track_caller]
pub(crate) fn helm(arguments: &[&str]) -> String {
    let home = TempDir::new().unwrap();
    let output = Command::new("helm")
        .args(arguments)
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .output()
        .expect("helm is in PATH: run these tests by tests/run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        let events = try_kubectl(&["get", "events,pods", "-n", RELEASE], "").unwrap_or_default();
        let logs = controller_logs();
        panic!("helm {arguments:?}: {}\n{}\n{events}\n{logs}", text(&output.stdout), text(&output.stderr));
    }
    text(&output.stdout)
}

/// The last that the controllers have written.
pub(crate) fn controller_logs() -> String {
    let selector = "--selector=app.kubernetes.io/component=controller";
    let logs = try_kubectl(&["logs", "-n", RELEASE, selector, "--tail=40", "--prefix"], "");
    logs.unwrap_or_else(|error| error)
}

/// Does something to a node or one of its processes, as `tests/cluster/node` tells.
#[track_caller]
pub(crate) fn node(arguments: &[&str]) {
    let program: PathBuf = root().join("tests/cluster/node");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "node {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until `probe` gives something; panics after [`PATIENCE`] with what there was instead.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, probe: impl FnMut() -> Result<T, String>) -> T {
    wait_within(what, PATIENCE, probe)
}

/// The same with a deadline of its own.
#[track_caller]
pub(crate) fn wait_within<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        match probe() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < end, "{what}: not within {deadline:?}; last: {instead}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}
