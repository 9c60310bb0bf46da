//! The accept loop, and what bounds a connection as long as it is HTTP.

use std::{
    io::{self, ErrorKind},
    net::IpAddr,
    os::fd::AsFd,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::Router;
use hyper::{
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    select,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    App, Front,
    place::{Place, Places},
    publish::Rates,
    router,
    tls::Tls,
};
use crate::gateway::shard::SEND_BUFFER;

/// Bytes of a request's head, and so of its path, its query and each header.
const HEAD_BYTES: usize = 16 * 1024;
/// Headers of a request.
const HEADERS: usize = 64;
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest time a client of a stream may take nothing of it while the gateway is going away.
const LAST_STALL: Duration = Duration::from_secs(4);

/// Who is at the other end of a connection: the client, or a proxy before us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Bounds of connections that are still HTTP.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How many there are at a time; more wait in the kernel's queue, for two seconds at most if the oldest do nothing.
    pub(super) connections: usize,
    /// Longest time from the connection, or the last answer, to the end of the next request's head.
    pub(super) head: Duration,
    /// Longest time a connection may stay; the request it is at may then be finished within `head`.
    pub(super) stay: Duration,
    /// Longest time the client of a stream may take nothing of what there is for it, or not confirm what was sent to it.
    pub(super) stall: Duration,
}

const BOUNDS: Bounds = Bounds {
    connections: 512,
    head: Duration::from_secs(10),
    stay: Duration::from_mins(1),
    // As long as a client that does not pong has with the usual heartbeat, and a little more: its shard, which knows its
    // slow consumers, decides first.
    stall: Duration::from_secs(45),
};

/// Gives the socket that is to listen the options of its clients: those it accepts begin with them, which saves each
/// client the system calls. To be called before `listen`, as clients may come from then on. They send at once, from a
/// small buffer, and are cut when they leave unconfirmed for 45 s what was sent to them, until a shard has them.
pub fn prepare(socket: &impl AsFd) -> io::Result<()> {
    limit_silence(socket, Some(BOUNDS.stall))?;
    let socket = socket2::SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)
}

/// Serves the public port, which has been [`prepare`]d, until `cancel` ends: from then on nothing is accepted, and requests that are being
/// answered are finished. Every connection that is still HTTP is a task of `tasks`; at most `places` at a time, and
/// never more than 512.
pub async fn serve(
    listener: TcpListener,
    places: u64,
    state: Arc<Front>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    let places = usize::try_from(places).unwrap_or(usize::MAX);
    let bounds = Bounds { connections: BOUNDS.connections.min(places), ..BOUNDS };
    serve_within(bounds, listener, state, tasks, cancel).await;
}

pub(super) async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    state: Arc<Front>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    let app = App {
        front: state.clone(),
        tasks: tasks.clone(),
        cancel: cancel.clone(),
        started: Instant::now(),
        rates: Arc::new(Rates::default()),
    };
    let router = router(app);
    let mut places = Places::new(bounds.connections);
    let mut trouble = Trouble::default();
    loop {
        let next = async {
            let place = places.take().await?;
            Ok((place, listener.accept().await?))
        };
        let Some(accepted) = cancel.run_until_cancelled(next).await else { return };
        match accepted {
            Ok((place, (socket, address))) => {
                trouble.over();
                let (weak, peer) = (place.downgrade(), Peer(address.ip().to_canonical()));
                let tls = state.tls.clone();
                let own = place.clone();
                let talk = converse(socket, peer, tls, router.clone(), place, cancel.clone(), bounds);
                tasks.spawn(async move {
                    tokio::select! {
                        () = own.evicted() => {}
                        () = talk => {}
                    }
                });
                places.taken(weak);
            }
            Err(error) => {
                if trouble.begins(&error) {
                    tracing::warn!(%error, "cannot accept connections: if open files are used up, raise their limit");
                }
                state.accept_errors.fetch_add(1, Ordering::Relaxed);
                cancel.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }
}

/// Tells the first of a row of failures from the others, so that an episode is one line in the log.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    fn begins(&mut self, error: &io::Error) -> bool {
        // These concern one client that is gone already, not the listener.
        let harmless = matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset);
        !harmless && !std::mem::replace(&mut self.0, true)
    }

    fn over(&mut self) {
        self.0 = false;
    }
}

/// One connection, until it is closed or leaves HTTP.
async fn converse(
    socket: TcpStream,
    peer: Peer,
    tls: Option<Arc<Tls>>,
    router: Router,
    place: Place,
    cancel: CancellationToken,
    bounds: Bounds,
) {
    let Some(tls) = tls else { return talk(socket, peer, router, place, cancel, bounds).await };
    // As long as for a request's head: a client that says nothing is worth no more than that.
    let shaken = cancel.run_until_cancelled(tls.accept(socket, bounds.head)).await.flatten();
    if let Some(stream) = shaken {
        talk(stream, peer, router, place, cancel, bounds).await;
    }
}

/// HTTP on a connection whose bytes are for us.
async fn talk(
    bytes: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    place: Place,
    cancel: CancellationToken,
    bounds: Bounds,
) {
    let (service, own) = (TowerToHyperService::new(router), place.clone());
    let service = service_fn(move |mut request| {
        request.extensions_mut().insert(own.clone());
        request.extensions_mut().insert(peer);
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(bytes), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    select! {
        result = connection.as_mut() => return ended(result),
        () = place.left() => return stream(connection, &place, &cancel, bounds.stall).await,
        () = cancel.cancelled() => {}
        () = sleep(bounds.stay) => {}
    }
    connection.as_mut().graceful_shutdown();
    select! {
        result = connection.as_mut() => ended(result),
        () = place.left() => stream(connection, &place, &cancel, bounds.stall).await,
        () = sleep(bounds.head) => tracing::debug!("connection cut: its last request took too long"),
    }
}

/// A connection whose last answer is a stream: it lasts as long as its shard wants, if its client takes it.
async fn stream(
    connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    place: &Place,
    cancel: &CancellationToken,
    most: Duration,
) {
    let stalled = async {
        loop {
            sleep(most.min(LAST_STALL)).await;
            if place.stalled() >= if cancel.is_cancelled() { most.min(LAST_STALL) } else { most } {
                return;
            }
        }
    };
    select! {
        result = connection => ended(result),
        () = stalled => tracing::debug!("stream cut: its client takes nothing of it"),
    }
}

fn ended(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended before its answer or upgrade was done");
    }
}

/// Bounds how long the other side may leave what was sent to it unconfirmed, in a closed window too, where the system
/// can (RFC 5482); `None`: as long as the system lets it. What a listener accepts begins with the listener's.
pub(super) fn limit_silence(socket: &impl AsFd, time: Option<Duration>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_user_timeout(time)?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, time);
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn what_is_set_on_the_listener_holds_for_the_clients_it_accepts() {
        let mut sockets = Vec::new();
        for prepared in [false, true] {
            let listener = TcpSocket::new_v4().unwrap();
            if prepared {
                prepare(&listener).unwrap();
            }
            listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = listener.listen(1).unwrap();
            let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            sockets.push(listener.accept().await.unwrap().0);
        }
        let [usual, socket] = &sockets[..] else { panic!("two of them") };
        assert!(socket.nodelay().unwrap() && !usual.nodelay().unwrap());
        let buffer = |socket: &TcpStream| socket2::SockRef::from(socket).send_buffer_size().unwrap();
        assert!(buffer(socket) < buffer(usual), "{} < {}", buffer(socket), buffer(usual));
        #[cfg(target_os = "linux")]
        assert_eq!(socket2::SockRef::from(socket).tcp_user_timeout().unwrap(), Some(BOUNDS.stall));
    }

    #[test]
    fn only_the_first_failure_of_a_row_is_told() {
        let full = io::Error::other("no file descriptors left");
        let mut trouble = Trouble::default();
        assert!(trouble.begins(&full));
        assert!(!trouble.begins(&full));
        trouble.over();
        assert!(trouble.begins(&full));
    }

    #[test]
    fn a_client_that_went_away_is_not_trouble() {
        assert!(!Trouble::default().begins(&ErrorKind::ConnectionAborted.into()));
    }
}
