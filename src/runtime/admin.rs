//! Serves the admin port: metrics, health, what only operators see.

use std::{collections::VecDeque, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

/// Connections served at a time. One more takes the place of the oldest, so that clients that connect and say
/// nothing cannot keep a health check out.
const CONNECTIONS: usize = 64;
/// A client has so long for the head of a request; an idle connection is closed after it too (longer than
/// the usual scrape interval, so that Prometheus keeps its connection).
const HEAD: Duration = Duration::from_secs(90);
/// After the end was asked for, requests under way have so long.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause after a failed accept (out of file descriptors), so that it is not tried in a loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers with `router` until `cancel` is cancelled; then requests under way have a second to end.
pub async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) {
    let mut connections = JoinSet::new();
    // From the oldest to the newest, at most `CONNECTIONS`.
    let mut open = VecDeque::<AbortHandle>::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    while connections.try_join_next().is_some() {}
                    open.retain(|connection| !connection.is_finished());
                    if open.len() == CONNECTIONS
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    open.push_back(connections.spawn(connection(stream, router.clone(), cancel.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "The admin port could not accept a connection and tries again.");
                    time::sleep(PAUSE).await;
                }
            }
        }
    };
    let _: Option<()> = cancel.run_until_cancelled(accepting).await;
    // What is left after the farewell is ended by dropping the set.
    let _ = time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(stream: TcpStream, router: Router, cancel: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = cancel.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "A connection to the admin port ended early.");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
        task::JoinHandle,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: admin\r\n\r\n";

    /// A server on a port of its own, and a client that has sent these bytes.
    async fn start(router: Router, bytes: &[u8]) -> (TcpStream, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router, cancel.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        (client, cancel, server)
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_after_the_end_was_asked_for() {
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (entered, proceed) = (entered.clone(), proceed.clone());
            || async move {
                entered.notify_one();
                proceed.notified().await;
                "done"
            }
        };
        let (mut client, cancel, server) = start(Router::new().route("/", get(handler)), REQUEST).await;
        entered.notified().await;
        cancel.cancel();
        proceed.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_client_does_not_hold_up_the_end() {
        let (mut client, cancel, server) = start(Router::new(), b"GET /").await;
        cancel.cancel();
        time::timeout(FAREWELL * 5, server).await.unwrap().unwrap();
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn silent_clients_do_not_keep_a_request_out() {
        let (first, cancel, server) = start(Router::new().route("/", get("alive")), b"GET /").await;
        let address = first.peer_addr().unwrap();
        let mut silent = vec![first];
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let mut answer = vec![0; 12];
        time::timeout(HEAD / 9, client.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
        // The oldest made room for it.
        assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0);
        cancel.cancel();
        server.await.unwrap();
    }
}
