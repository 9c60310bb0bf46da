//! What `dev` and `gateway` have in common: listen, serve, tell the addresses, end well.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use super::{Failure, print};
use crate::{
    api::{Secrets, TopicGatewaySpec},
    gateway::pod::{Options, Pod, StartError},
    runtime::{
        open_files,
        signals::{Termination, terminated},
        telemetry,
    },
};

/// How a gateway is served from the command line.
pub(super) struct Serving {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    /// Whether `/demo/publish` is there.
    pub(super) demo: bool,
    pub(super) generation: i64,
    /// Longest drain after Ctrl-C, when somebody waits at a terminal.
    pub(super) patience: Duration,
    /// Lines to print below the addresses; `{url}` is the public one, `{program}` this one.
    pub(super) hint: &'static str,
}

/// Serves until the process is told to end.
pub(super) fn serve(spec: &TopicGatewaySpec, secrets: &Secrets, serving: &Serving) -> Result<(), Failure> {
    telemetry::init(telemetry::Format::detect()).map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::internal(format!("the system refuses a thread: {error}; raise its limits"))
    })?;
    // Says itself what it has reached.
    if let Err(error) = open_files::raise() {
        tracing::warn!(%error, "The limit of open files could not be raised: connections may be refused early.");
    }
    runtime.block_on(until_the_end(spec, secrets, serving))
}

async fn until_the_end(spec: &TopicGatewaySpec, secrets: &Secrets, serving: &Serving) -> Result<(), Failure> {
    let mut signals = terminated()
        .map_err(|error| Failure::internal(format!("signals cannot be received: {error}; start it again")))?;
    let (public, listen) = bind(serving.listen, "--listen").await?;
    let (admin, admin_address) = bind(serving.admin, "--admin").await?;
    let options = Options { public, admin, demo: serving.demo, generation: serving.generation };
    let pod = Pod::start(spec, secrets, options).map_err(|error| match error {
        StartError::System(_) => Failure::internal(error.to_string()),
        wrong => Failure::usage(wrong.to_string()),
    })?;
    print(&format!("gateway  http://{listen}\nadmin    http://{admin_address}\n"))?;
    // As this process was called, so that the lines can be pasted.
    let program = std::env::args().next().unwrap_or_else(|| "topic-gateway".into());
    print(&serving.hint.replace("{url}", &format!("ws://{listen}/ws")).replace("{program}", &program))?;

    let window = Duration::from_secs(u64::try_from(spec.drain.window_seconds).unwrap_or(0));
    let window = match signals.next().await {
        Termination::Terminate => window,
        Termination::Interrupt => window.min(serving.patience),
    };
    tracing::info!(seconds = window.as_secs(), "Draining: clients are told and closed one by one.");
    tokio::select! {
        done = pod.drain(window) => {
            if !done {
                tracing::warn!("Some connections had to be cut.");
            }
        }
        _ = signals.next() => tracing::warn!("Told to end again: the drain is given up."),
    }
    Ok(())
}

async fn bind(address: SocketAddr, option: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    bound.await.map_err(|error| {
        Failure::unavailable(format!(
            "cannot listen on {address}: {error}; choose another address with {option}"
        ))
    })
}
