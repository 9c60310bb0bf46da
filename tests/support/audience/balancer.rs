//! One address in front of several backends. It passes bytes on, and can cut the connections that it has; or it only
//! says where to connect to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
    sync::oneshot,
    time::{sleep, timeout},
};

/// Bytes that the system may hold for a reader that is slow, here and there: so little that its gateway notices.
pub(crate) const SMALL_BUFFER: u32 = 16 * 1024;
const CONNECTING: Duration = Duration::from_secs(2);
const BACKLOG: u32 = 1024;

/// Runs as long as the runtime that it was started on.
#[derive(Clone)]
pub(crate) struct Balancer {
    /// Where clients connect to.
    pub(crate) address: SocketAddr,
    /// Clients connect to the backends themselves.
    direct: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    backends: Vec<(String, SocketAddr)>,
    next: usize,
    /// By the client's address; those of the past stay until their port is used again.
    links: HashMap<SocketAddr, Link>,
}

struct Link {
    backend: String,
    /// How long the backend's side is to stay open after the cut; none once it was cut or has ended.
    cut: Option<oneshot::Sender<Duration>>,
}

impl Balancer {
    /// No backends yet: whoever connects is turned away. Direct: bytes do not go through it.
    pub(crate) fn start(runtime: &Handle, direct: bool) -> Self {
        let _inside = runtime.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(SMALL_BUFFER).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(BACKLOG).unwrap();
        let balancer = Self { address: listener.local_addr().unwrap(), direct, state: Arc::default() };
        runtime.spawn(balancer.clone().accept(listener));
        balancer
    }

    /// From now on some connections go there.
    pub(crate) fn add(&self, name: &str, address: SocketAddr) {
        self.with(|state| state.backends.push((name.into(), address)));
    }

    /// A backend is gone; its connections stay.
    pub(crate) fn remove(&self, name: &str) {
        self.with(|state| state.backends.retain(|(own, _)| own != name));
    }

    /// A connection to one of the backends.
    pub(crate) async fn connect(&self) -> Option<TcpStream> {
        if !self.direct {
            return connect_small(self.address).await;
        }
        let (backend, address) = self.pick()?;
        let stream = connect_small(address).await?;
        let own = stream.local_addr().ok()?;
        self.with(|state| state.links.insert(own, Link { backend, cut: None }));
        Some(stream)
    }

    /// The next one in turn.
    fn pick(&self) -> Option<(String, SocketAddr)> {
        self.with(|state| {
            state.next += 1;
            let count = state.backends.len().max(1);
            state.backends.get(state.next % count).cloned()
        })
    }

    /// Whom the client at this address is connected to.
    pub(crate) fn backend_of(&self, client: SocketAddr) -> String {
        self.with(|state| state.links.get(&client).map_or(String::new(), |link| link.backend.clone()))
    }

    /// Resets the connection of the client at this address; its backend notices after `hold`.
    pub(crate) fn cut(&self, client: SocketAddr, hold: Duration) {
        let cut = self.with(|state| state.links.get_mut(&client)?.cut.take());
        // It may have ended by itself.
        let _ = cut.map(|cut| cut.send(hold));
    }

    /// Resets all connections; backends notice after `hold`.
    pub(crate) fn cut_all(&self, hold: Duration) {
        let clients: Vec<_> = self.with(|state| state.links.keys().copied().collect());
        for client in clients {
            self.cut(client, hold);
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((client, from)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            if let Some((name, address)) = self.pick() {
                tokio::spawn(self.clone().link(client, from, name, address));
            }
        }
    }

    async fn link(self, mut client: TcpStream, from: SocketAddr, backend: String, address: SocketAddr) {
        let Some(mut server) = connect_small(address).await else { return };
        let _ = client.set_nodelay(true);
        let (cut, told) = oneshot::channel();
        let link = Link { backend, cut: Some(cut) };
        self.with(|state| state.links.insert(from, link));
        let passing = copy_bidirectional_with_sizes(&mut client, &mut server, 4096, 16 * 1024);
        tokio::select! {
            // Whatever ended it, both sides see it when the sockets are dropped.
            _ = passing => {}
            Ok(hold) = told => {
                let _ = client.set_zero_linger();
                drop(client);
                sleep(hold).await;
                let _ = server.set_zero_linger();
            }
        }
    }
}

/// A connection that holds little of what is not read.
pub(crate) async fn connect_small(address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_recv_buffer_size(SMALL_BUFFER).ok()?;
    let stream = timeout(CONNECTING, socket.connect(address)).await.ok()?.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}
