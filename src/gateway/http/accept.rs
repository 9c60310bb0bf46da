//! The accept loop, and what bounds a connection as long as it is HTTP.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{App, Front, router};

/// Bytes of a request's head, and so of its path, its query and each header.
const HEAD_BYTES: usize = 16 * 1024;
/// Headers of a request.
const HEADERS: usize = 64;
/// Time a connection has in any case when all places are taken.
const TIME: Duration = Duration::from_secs(2);
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Bounds of connections that are still HTTP.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How many there are at a time; more wait in the kernel's queue, for two seconds at most if the oldest do nothing.
    pub(super) connections: usize,
    /// Longest time from the connection, or the last answer, to the end of the next request's head.
    pub(super) head: Duration,
    /// Longest time a connection may stay; the request it is at may then be finished within `head`.
    pub(super) stay: Duration,
}

const BOUNDS: Bounds =
    Bounds { connections: 512, head: Duration::from_secs(10), stay: Duration::from_mins(1) };

/// Serves the public port until `cancel` ends: from then on nothing is accepted, and requests that are being
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
    let app =
        App { front: state.clone(), tasks: tasks.clone(), cancel: cancel.clone(), started: Instant::now() };
    let router = router(app);
    let mut places = Places::new(bounds.connections);
    let mut trouble = Trouble::default();
    loop {
        let next = async {
            let place = places.take().await?;
            Ok((place, listener.accept().await?.0))
        };
        let Some(accepted) = cancel.run_until_cancelled(next).await else { return };
        match accepted {
            Ok((place, socket)) => {
                trouble.over();
                let talk = converse(socket, router.clone(), cancel.clone(), bounds);
                let spawned = tasks.spawn(async move {
                    talk.await;
                    drop(place);
                });
                places.taken(spawned.abort_handle());
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

/// The places of connections that are still HTTP. When all are taken, the oldest connection loses its place once it
/// has had its time: clients that connect and say nothing delay the others by no more than that.
struct Places {
    free: Arc<Semaphore>,
    most: usize,
    /// From the oldest to the newest; at most twice as many as there are places, the ended ones among them.
    taken: VecDeque<(Instant, AbortHandle)>,
}

impl Places {
    fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), most, taken: VecDeque::new() }
    }

    async fn take(&mut self) -> io::Result<OwnedSemaphorePermit> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Ok(place);
        }
        self.taken.retain(|(_, connection)| !connection.is_finished());
        let place = self.free.clone().acquire_owned();
        if let Some((since, _)) = self.taken.front() {
            let mut place = pin!(place);
            if let Ok(place) = timeout(TIME.saturating_sub(since.elapsed()), place.as_mut()).await {
                return place.map_err(io::Error::other);
            }
            if let Some((_, oldest)) = self.taken.pop_front() {
                oldest.abort();
            }
            return place.await.map_err(io::Error::other);
        }
        place.await.map_err(io::Error::other)
    }

    fn taken(&mut self, connection: AbortHandle) {
        if self.taken.len() >= 2 * self.most {
            self.taken.retain(|(_, connection)| !connection.is_finished());
        }
        self.taken.push_back((Instant::now(), connection));
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
async fn converse(socket: TcpStream, router: Router, cancel: CancellationToken, bounds: Bounds) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "connection lost before its first byte");
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    select! {
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended before its upgrade");
            }
            return;
        }
        () = cancel.cancelled() => {}
        () = sleep(bounds.stay) => {}
    }
    connection.as_mut().graceful_shutdown();
    if timeout(bounds.head, connection).await.is_err() {
        tracing::debug!("connection cut: its last request took too long");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
