//! WebSocket connections through the balancer, and the clock of the run.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite::protocol::WebSocketConfig};

use super::balancer::Balancer;
use crate::checker::Nanos;

/// An upgraded connection.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// A connection that ended without a close frame (RFC 6455, 7.1.5).
pub(crate) const WITHOUT_CLOSE: u16 = 1006;
/// A close frame without a code.
pub(crate) const WITHOUT_CODE: u16 = 1005;
/// How long a gateway may take to answer a new connection.
pub(crate) const UPGRADING: Duration = Duration::from_secs(5);
/// Bytes read at once: a small one, since there are hundreds of clients.
const READ_BUFFER: usize = 8 * 1024;

/// The one clock of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the beginning.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The same as the checker counts it.
    pub(crate) fn now(self) -> Nanos {
        u64::try_from(self.elapsed().as_nanos()).expect("a run of less than five hundred years")
    }
}

/// A connection, the own address, and the gateway's name; `None` if nobody is there or takes it.
pub(crate) async fn upgrade(balancer: &Balancer) -> Option<(Socket, SocketAddr, String)> {
    let stream = balancer.connect().await?;
    let own = stream.local_addr().ok()?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    let url = format!("ws://{}/ws", balancer.address);
    let (socket, _) =
        timeout(UPGRADING, client_async_with_config(url, stream, Some(config))).await.ok()?.ok()?;
    Some((socket, own, balancer.backend_of(own)))
}
