//! What `dev` and `gateway` have in common: listen, serve, tell the addresses, end well.

mod live;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};

use super::{Failure, print};
use crate::{
    gateway::{
        config::{Configuration, Reader},
        http,
        pod::{Options, Pod, StartError},
    },
    runtime::{
        colours,
        open_files::{self, Shares},
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
    /// Where the configuration is read from again when it changes.
    pub(super) source: Option<Reader>,
    /// Whether somebody who looks on at a terminal is shown what goes on.
    pub(super) live: bool,
    /// Longest drain after Ctrl-C, when somebody waits at a terminal.
    pub(super) patience: Duration,
    /// Lines to print below the addresses; `{url}` is the public one, `{page}` that of the playground, `{program}` this program.
    pub(super) hint: &'static str,
}

/// Connections the kernel keeps until they are accepted, as far as `net.core.somaxconn` lets it. With the usual 128 a
/// crowd that comes at once, as after a drain, waits for the retransmission of its SYN: a second and more.
const QUEUE: u32 = 4096;

/// Serves until the process is told to end.
pub(super) fn serve(configuration: Configuration, serving: Serving) -> Result<(), Failure> {
    let _traces = telemetry::init(telemetry::Format::detect(), "topic-gateway")
        .map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::internal(format!("the system refuses a thread: {error}; raise its limits"))
    })?;
    let files = open_files::raise().unwrap_or_else(|error| {
        tracing::warn!(%error, "The limit of open files could not be raised.");
        u64::MAX
    });
    let files = open_files::share(files);
    tracing::info!(connections = files.connections, "Open files leave room for this many connections.");
    runtime.block_on(until_the_end(configuration, serving, files))
}

async fn until_the_end(configuration: Configuration, serving: Serving, files: Shares) -> Result<(), Failure> {
    let mut signals = terminated()
        .map_err(|error| Failure::internal(format!("signals cannot be received: {error}; start it again")))?;
    let (public, listen) = bind(serving.listen, "--listen", http::prepare).await?;
    let (admin, admin_address) = bind(serving.admin, "--admin", |_| Ok(())).await?;
    // On a machine of its own the certificate is hardly one that everybody trusts.
    let (tls, trust) =
        if configuration.spec.listeners.tls.is_some() { ("s", " --ca-file CA.crt") } else { ("", "") };
    let options = Options { public, admin, demo: serving.demo, files, source: serving.source };
    let pod = Pod::start(configuration, options).await.map_err(|error| match error {
        StartError::System(_) => Failure::internal(error.to_string()),
        StartError::Parts(_) => Failure::usage(error.to_string()),
    })?;
    print(&format!("gateway  http{tls}://{listen}\nadmin    http://{admin_address}\n"))?;
    // As this process was called, so that the lines can be pasted.
    let program = std::env::args().next().unwrap_or_else(|| "topic-gateway".into());
    let url = format!("ws{tls}://{listen}/ws{trust}");
    let page = format!("http{tls}://{listen}/docs");
    let hint = serving.hint.replace("{url}", &url).replace("{program}", &program).replace("{page}", &page);
    print(&hint)?;

    let looked_at = serving.live && colours::wanted(&io::stdout()) && colours::wanted(&io::stderr());
    let live = looked_at.then(|| tokio::spawn(live::show(pod.activity())));
    let signal = signals.next().await;
    if let Some(live) = live {
        live.abort();
        // Its line is wiped when it has ended; that it was told to is no news.
        let _ = live.await;
    }
    let window = pod.drain_window();
    let (window, patience) = match signal {
        Termination::Terminate => (window, Duration::MAX),
        // Half of it is left to those who do not answer their close.
        Termination::Interrupt => (window.min(serving.patience / 2), serving.patience),
    };
    tracing::info!(seconds = window.as_secs(), "Draining: clients are told and closed one by one.");
    tokio::select! {
        done = timeout(patience, pod.drain(window)) => {
            if done != Ok(true) {
                tracing::warn!("Some connections had to be cut.");
            }
        }
        _ = signals.next() => tracing::warn!("Told to end again: the drain is given up."),
    }
    Ok(())
}

async fn bind(
    address: SocketAddr,
    option: &str,
    prepare: fn(&TcpSocket) -> io::Result<()>,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        prepare(&socket)?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(QUEUE)?;
        let address = listener.local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    bound.await.map_err(|error| {
        Failure::unavailable(format!(
            "cannot listen on {address}: {error}; choose another address with {option}"
        ))
    })
}
