//! `GET /status` of pods: plain HTTP/1.1 within the cluster, with bounds on everything.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::{api::GatewayReport, controller::names};

/// The admin port of every pod.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a port
pub(super) const PORT: u16 = names::ADMIN_PORT_NUMBER as u16;
/// A pod has so long for its whole answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// All pods of a gateway have so long.
const ALTOGETHER: Duration = Duration::from_secs(8);
/// Pods asked at a time.
const AT_ONCE: usize = 16;
/// Longest answer in bytes.
const LONGEST: usize = 64 * 1024;

/// The answers of those that gave one in time.
pub(super) async fn all(pods: Vec<(String, SocketAddr)>) -> BTreeMap<String, GatewayReport> {
    let mut answers = stream::iter(pods)
        .map(|(name, address)| async move { (name, timeout(PATIENCE, one(address)).await) })
        .buffer_unordered(AT_ONCE);
    let mut reports = BTreeMap::new();
    let collecting = async {
        while let Some((pod, answer)) = answers.next().await {
            match answer {
                Ok(Ok(report)) => {
                    reports.insert(pod, report);
                }
                Ok(Err(error)) => tracing::debug!(pod, %error, "A pod does not say how it is."),
                Err(_) => {
                    tracing::debug!(pod, "A pod does not say how it is: no answer within {PATIENCE:?}.")
                }
            }
        }
    };
    // Those that are left are asked next time.
    let _ = timeout(ALTOGETHER, collecting).await;
    reports
}

/// Why a pod did not say how it is.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("no HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("no request: {0}")]
    Request(#[from] http::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("the body ends early or is too long: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the body is no report: {0}")]
    Report(#[from] serde_json::Error),
}

async fn one(address: SocketAddr) -> Result<GatewayReport, Silence> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/status").header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(Silence::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await.map_err(Silence::Body)?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    };
    tokio::pin!(connection, exchange);
    // The connection only lives as long as the exchange.
    tokio::select! {
        report = &mut exchange => report,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A pod that answers everything with this.
    async fn pod(answer: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn who_answers_is_heard_and_who_does_not_holds_nobody_up() {
        let report = r#"{"generation":3,"connections":12,"subscriptions":34,"backboneConnected":true,"draining":false}"#;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pods = [
            ("well", pod(ok(report)).await),
            ("silent", silent.local_addr().unwrap()),
            ("failing", pod("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".into()).await),
            ("strange", pod(ok("{}")).await),
            ("endless", pod(ok(&" ".repeat(LONGEST + 1))).await),
        ];
        let reports = all(pods.map(|(name, address)| (name.to_owned(), address)).into()).await;
        assert_eq!(reports.keys().collect::<Vec<_>>(), ["well"]);
        assert_eq!((reports["well"].generation, reports["well"].connections), (3, 12));
    }
}
