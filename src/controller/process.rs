//! The controller's process: from the admin port to the last pass.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    admin, apis,
    client::{self, ClientError},
    leader::Candidate,
    metrics::Metrics,
    settings::Settings,
    shared::Shared,
    watch, work,
};
use crate::runtime::{self, signals::Terminated};

/// Why the controller does not start, or ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no access to a cluster.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A metric is defined twice.
    #[error("the metrics do not fit together: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The admin port is taken.
    #[error("cannot listen on {0}: {1}; choose another address with --admin")]
    Admin(SocketAddr, io::Error),
    /// Another controller works, or may at any moment.
    #[error("the Lease was lost: {0}; this process ends so that no two controllers work")]
    LeaseLost(String),
}

/// Runs the controller until the process is told to end. It waits for what is missing in the cluster (the API server,
/// the definition of the resource, rights) and says so in its log and at `/readyz`; it does not end for that.
pub async fn run(settings: Settings, mut signals: Terminated) -> Result<(), RunError> {
    let metrics = Metrics::new(settings.concurrency, settings.lease_name())?;
    let client = client::connect(&metrics.requests).await?;
    let address = settings.admin;
    let taken = |error| RunError::Admin(address, error);
    let admin = TcpListener::bind(address).await.map_err(taken)?;
    let listening = admin.local_addr().map_err(taken)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        identity = settings.identity,
        namespaces = if settings.namespaces.is_empty() { "all".into() } else { settings.namespaces.join(",") },
        admin = %listening,
        "The controller starts."
    );
    let shared = Arc::new(Shared::new(client, metrics, settings));
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(runtime::admin::serve(admin, admin::router(shared.clone()), stop.clone()));
    watch::start(&shared, &tasks, &stop);
    shared.health.expect(apis::NAME);
    let looking = apis::follow(shared.clone(), tasks.clone(), stop.clone());
    let cancel = stop.clone();
    tasks.spawn(async move {
        cancel.run_until_cancelled(looking).await;
    });
    let ended = supervise(&shared, &mut signals).await;
    stop.cancel();
    if ended.is_ok() {
        tasks.close();
        tasks.wait().await;
    }
    ended
}

/// Waits for the caches and the Lease, works, and ends well when it is told to.
async fn supervise(shared: &Arc<Shared>, signals: &mut Terminated) -> Result<(), RunError> {
    let settings = &shared.settings;
    let mut candidate = settings
        .election
        .as_ref()
        .map(|election| Candidate::new(shared.client.clone(), election, &settings.identity));
    let won = async {
        shared.health.until_synced().await;
        match &mut candidate {
            Some(candidate) => candidate.win().await,
            None => Instant::now(),
        }
    };
    let since = tokio::select! {
        since = won => since,
        _ = signals.next() => return Ok(()),
    };
    tracing::info!("This controller leads.");
    shared.metrics.show_leading(settings.lease_name(), true);
    let lost = work(shared, hold(candidate.as_mut(), since), signals).await;
    shared.metrics.show_leading(settings.lease_name(), false);
    if let Some(why) = lost {
        return Err(RunError::LeaseLost(why));
    }
    if let Some(candidate) = &mut candidate {
        candidate.release().await;
    }
    Ok(())
}

/// Works until the process is told to end and the passes under way have ended, or until the Lease is lost: then why.
async fn work(
    shared: &Arc<Shared>,
    holding: impl Future<Output = String>,
    signals: &mut Terminated,
) -> Option<String> {
    let finish = CancellationToken::new();
    let working = work::run(shared.clone(), finish.clone());
    tokio::pin!(working, holding);
    tokio::select! {
        why = &mut holding => return Some(why),
        () = &mut working => return None,
        _ = signals.next() => tracing::info!("Told to end: passes under way are finished."),
    }
    finish.cancel();
    // The Lease is kept meanwhile.
    tokio::select! {
        why = &mut holding => Some(why),
        () = &mut working => None,
    }
}

/// Returns when the Lease is lost, and why; without election never.
async fn hold(candidate: Option<&mut Candidate>, since: Instant) -> String {
    match candidate {
        Some(candidate) => candidate.hold(since).await,
        None => std::future::pending().await,
    }
}
