//! One gateway pod: every part put together, from the first listener to the last goodbye.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Access,
    backbone::{self, Exchange, Handle, Status, Surroundings},
    certificate::Certificate,
    config::{Configuration, Reader},
    home::Home,
    http::{self, Failure, Front, Origins, Placement, Stats, Tls, admin},
    limits::Admission,
    metrics::{Metrics, names},
    parts::{Parts, PartsError, Places},
    protocol::GapReason,
    publisher::{self, Publisher},
    reload::{Loaded, Reload},
    services,
    shard::{Channels, Inbox, Running, Settings, Shard, ShardEvent},
    topics::Registry,
};
use crate::{
    api::GatewayReport,
    runtime::{self, Readiness, open_files::Shares},
};

/// Requests of the shards that wait for the control plane; a shard answers for it when there are more.
const REQUESTS: usize = 16_384;
/// Longest silence of a shard's thread before the pod is no longer alive.
const SILENCE: Duration = Duration::from_secs(10);
/// Clients wait this long for the backbone's first connection; then they are served without it.
const FIRST_CONNECTION: Duration = Duration::from_secs(1);
/// Time for last words and the backbone after the drain window.
const MARGIN: Duration = Duration::from_secs(10);

/// What a pod is started with.
#[derive(Debug)]
pub struct Options {
    /// The public port.
    pub public: TcpListener,
    /// The admin port.
    pub admin: TcpListener,
    /// Whether `/demo/publish` is there, and `/docs` and `/openapi.json` in any case.
    pub demo: bool,
    /// How many connections the open files have room for.
    pub files: Shares,
    /// Where the configuration comes from, and changes; `None`: it stays as it is.
    pub source: Option<Reader>,
}

/// What goes on in a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Open connections.
    pub connections: u64,
    /// Topics and patterns with a subscriber.
    pub topics: u64,
    /// Subscriptions of all connections.
    pub subscriptions: u64,
    /// Messages that came from the backbone since the start.
    pub received: u64,
    /// Messages that were written to sockets since the start.
    pub delivered: u64,
}

/// Why a pod does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The system refuses a thread or a poller.
    #[error("the system refuses what a shard needs: {0}; raise the limits of open files and threads")]
    System(#[from] io::Error),
}

/// A running pod.
#[derive(Debug)]
pub struct Pod {
    inboxes: Arc<[Arc<Inbox>]>,
    shards: Arc<[Running]>,
    readiness: Arc<Readiness>,
    /// Everything but the admin port.
    tasks: TaskTracker,
    accept: CancellationToken,
    control: CancellationToken,
    admin: (TaskTracker, CancellationToken),
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    counts: Arc<backbone::Counts>,
    home: Home,
}

impl Pod {
    /// Starts everything. The gateway serves from here on, though it may not be ready yet.
    pub async fn start(configuration: Configuration, options: Options) -> Result<Self, StartError> {
        let Options { public, admin, demo, files, source } = options;
        let Parts { access, origins, deflate, playground, certificate, limits, settings, metrics, keeping } =
            Parts::new(&configuration)?;
        let access = Arc::new(ArcSwap::from_pointee(access));
        let (tasks, control, accept) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let count = available_parallelism().map_or(1, usize::from);
        let home = Home::new(count)?;
        let shards = (0..count).map(|index| home.shard(index)).collect::<io::Result<Vec<_>>>()?;
        let inboxes: Arc<[Arc<Inbox>]> = shards.iter().map(Shard::inbox).collect();
        let metrics = Metrics::new(count, Registry::new(), &metrics);
        let counts = Arc::new(backbone::Counts::default());
        let around = Surroundings {
            inboxes: inboxes.clone(),
            counts: counts.clone(),
            tasks: tasks.clone(),
            cancel: control.clone(),
            keeping: Arc::new(ArcSwap::from_pointee(keeping)),
            runtime: home.runtime(),
        };
        let Configuration { spec, secrets, .. } = &configuration;
        let (backbone, exchange) =
            Exchange::start(&spec.backbone, secrets, around).await.map_err(PartsError::Backbone)?;
        let publisher = Publisher::new(backbone.publishes.clone());
        let readiness = Arc::new(Readiness::new(&[(admin::BACKBONE, NOT_CONNECTED)]));
        let loaded = Arc::new(Loaded::new(&configuration));
        show(&metrics, &counts, &publisher, &backbone, &loaded);
        tasks.spawn(follow(backbone.clone(), readiness.clone(), control.clone()));

        let (requests, asked) = mpsc::channel(REQUESTS);
        let answering = services::run(
            asked,
            access.clone(),
            publisher.clone(),
            backbone.reads.clone(),
            inboxes.clone(),
            control.clone(),
        );
        tasks.spawn(answering);
        let channels = Channels { interests: backbone.interests, requests };
        let shards = start_shards(shards, settings, &channels, &metrics)?;

        let admission = Admission::new(&limits, files.connections);
        let mut front = front(admission, origins, access.clone(), publisher, &metrics, &inboxes, demo);
        (*front.deflate.get_mut(), *front.playground.get_mut()) = (deflate, playground);
        front.tls = certificate.map(|certificate| tls(certificate, &metrics)).transpose()?;
        let front = Arc::new(front);
        let report = report(loaded.clone(), front.clone(), backbone.status.clone(), accept.clone());
        let serving = open(public, files.http, front.clone(), backbone.status, tasks.clone(), accept.clone());
        tasks.spawn(serving);
        let watched = shards.clone();
        let router = admin::router(metrics.clone(), readiness.clone(), move || alive(&watched), report);
        let admin_tasks = (TaskTracker::new(), CancellationToken::new());
        admin_tasks.0.spawn(runtime::admin::serve(admin, router, admin_tasks.1.clone()));
        if let Some(reader) = source {
            let (metrics, inboxes) = (metrics.clone(), inboxes.clone());
            let places = Places { access, front, metrics, inboxes, backbone: exchange };
            tasks.spawn(Reload::new(reader, places, configuration).run(loaded.clone(), accept.clone()));
        }
        let admin = admin_tasks;
        Ok(Self { inboxes, shards, readiness, tasks, accept, control, admin, loaded, metrics, counts, home })
    }

    /// Over how long the configuration in force wants connections to be closed.
    pub fn drain_window(&self) -> Duration {
        self.loaded.drain_window()
    }

    /// Tells what goes on, whenever it is asked.
    pub fn activity(&self) -> impl Fn() -> Activity + Send + 'static {
        let (metrics, counts, shards) = (self.metrics.clone(), self.counts.clone(), self.shards.len());
        move || {
            let (topics, subscriptions) = metrics.topics().totals();
            let of_shards = || (0..shards).map(|index| metrics.shard(index));
            Activity {
                connections: of_shards().map(|shard| shard.connections()).sum(),
                topics,
                subscriptions,
                received: counts.messages_received.load(Relaxed),
                delivered: of_shards().map(|shard| shard.messages_delivered()).sum(),
            }
        }
    }

    /// Ends: not ready, nothing accepted, everybody told and closed evenly over `window`, the backbone drained.
    /// Returns at the latest twenty seconds after the window; `false` if something had to be left undone.
    pub async fn drain(self, window: Duration) -> bool {
        self.readiness.unmet(admin::DRAINING, "this gateway is going away", Instant::now());
        self.accept.cancel();
        for inbox in self.inboxes.iter() {
            inbox.push(ShardEvent::Drain { window, seed: rand::random() });
        }
        let gone = async {
            while !self.shards.iter().all(Running::is_finished) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let all_gone = timeout(window + MARGIN, gone).await.is_ok();
        self.control.cancel();
        self.tasks.close();
        let finished = timeout(MARGIN, self.tasks.wait()).await.is_ok();
        self.admin.1.cancel();
        self.admin.0.close();
        self.admin.0.wait().await;
        // Ends what still runs there.
        drop(self.home);
        all_gone && finished
    }
}

const NOT_CONNECTED: &str = "the backbone is not connected: look at its address and credentials";

fn start_shards(
    shards: Vec<Shard>,
    settings: Settings,
    channels: &Channels,
    metrics: &Metrics,
) -> io::Result<Arc<[Running]>> {
    let settings = Arc::new(settings);
    let start = |(index, shard): (usize, Shard)| {
        let (counts, registry) = (metrics.shard(index).clone(), metrics.topics().clone());
        shard.start(settings.clone(), channels.clone(), counts, registry)
    };
    Ok(shards.into_iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?.into())
}

/// Serves the public port as soon as the backbone is connected, or should have been.
async fn open(
    public: TcpListener,
    places: u64,
    front: Arc<Front>,
    mut status: watch::Receiver<Status>,
    tasks: TaskTracker,
    accept: CancellationToken,
) {
    // Clients that come at once need not be refused only because NATS is a moment later.
    let first = status.wait_for(|status| status.connected);
    let _ = timeout(FIRST_CONNECTION, accept.run_until_cancelled(first)).await;
    http::serve(public, places, front, &tasks, accept).await;
}

/// Tells the metrics what other parts count.
fn show(
    metrics: &Metrics,
    counts: &Arc<backbone::Counts>,
    publisher: &Publisher,
    backbone: &Handle,
    loaded: &Arc<Loaded>,
) {
    let show_count = |metric, read: fn(&backbone::Counts) -> &AtomicU64| {
        let own = counts.clone();
        metrics.source(metric, &[], move || read(&own).load(Relaxed));
    };
    show_count(&names::MESSAGES_RECEIVED, |counts| &counts.messages_received);
    show_count(&names::MESSAGES_RECEIVED_BYTES, |counts| &counts.bytes_received);
    show_count(&names::MESSAGES_NOT_JSON, |counts| &counts.not_json);
    show_count(&names::MESSAGES_IGNORED, |counts| &counts.ignored_subjects);
    show_count(&names::REPAIRED, |counts| &counts.repaired);
    show_count(&names::HISTORY_READS, |counts| &counts.history_reads);
    show_count(&names::BACKBONE_DROPPED, |counts| &counts.dropped);
    show_count(&names::BACKBONE_ERRORS, |counts| &counts.server_errors);
    let (own, other) = (counts.clone(), counts.clone());
    metrics.source(&names::GAPS, &[GapReason::Backbone.as_str()], move || own.gaps.load(Relaxed));
    metrics.source(&names::GAPS, &[GapReason::Expired.as_str()], move || other.expired.load(Relaxed));
    let (connected, reconnects) = (backbone.status.clone(), backbone.status.clone());
    metrics.source(&names::BACKBONE_CONNECTED, &[], move || connected.borrow().connected.into());
    metrics.source(&names::BACKBONE_RECONNECTS, &[], move || reconnects.borrow().reconnects);
    let (own, rejected) = (loaded.clone(), loaded.clone());
    metrics.source(&names::CONFIG_GENERATION, &[], move || u64::try_from(own.generation()).unwrap_or(0));
    metrics.source(&names::CONFIG_REJECTED, &[], move || rejected.rejected().is_some().into());
    let show_result = |result, read: fn(&publisher::Counts) -> &AtomicU64| {
        let own = publisher.clone();
        metrics.source(&names::PUBLISH, &[result], move || read(own.counts()).load(Relaxed));
    };
    show_result("ok", |counts| &counts.ok);
    show_result("duplicate", |counts| &counts.duplicate);
    show_result("unavailable", |counts| &counts.unavailable);
    show_result("refused", |counts| &counts.refused);
}

/// Keeps readiness in step with the backbone's connection.
async fn follow(backbone: Handle, readiness: Arc<Readiness>, cancel: CancellationToken) {
    let mut status = backbone.status;
    loop {
        if status.borrow_and_update().connected {
            readiness.met(admin::BACKBONE);
        } else {
            readiness.unmet(admin::BACKBONE, NOT_CONNECTED, Instant::now());
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}

fn front(
    admission: Arc<Admission>,
    origins: Origins,
    access: Arc<ArcSwap<Access>>,
    publisher: Publisher,
    metrics: &Arc<Metrics>,
    inboxes: &Arc<[Arc<Inbox>]>,
    demo: bool,
) -> Front {
    let (seats, shown, placed) = (admission.clone(), metrics.clone(), metrics.clone());
    let accept_errors = Arc::new(AtomicU64::new(0));
    let not_accepted = accept_errors.clone();
    metrics.source(&names::ACCEPT_ERRORS, &[], move || not_accepted.load(Relaxed));
    Front {
        admission,
        origins: ArcSwap::from_pointee(origins),
        deflate: AtomicBool::new(false),
        playground: AtomicBool::new(false),
        identify: Box::new(move |token| match token {
            None => Ok(access.load().anonymous()),
            Some(token) => {
                let identity = access.load().authenticate(token, services::now());
                identity.map(Some).map_err(|error| error.to_string())
            }
        }),
        publish: Box::new(move |user, topic, id, body| publisher.publish(&user, topic, id, body).boxed()),
        counts: metrics.control().clone(),
        stats: Box::new(move || {
            let (topics, subscriptions) = shown.topics().totals();
            Stats { connections: seats.connections(), topics, subscriptions }
        }),
        placement: Placement::new(inboxes.to_vec(), move |shard| placed.shard(shard).connections()),
        demo,
        tls: None,
        accept_errors,
    }
}

/// TLS with clients, and what the metrics tell of it.
fn tls(certificate: Certificate, metrics: &Metrics) -> Result<Arc<Tls>, StartError> {
    if certificate.has_expired(services::now()) {
        tracing::warn!("The certificate for clients has expired: renew the Secret of listeners.tls.");
    }
    let tls = Arc::new(Tls::new(certificate).map_err(io::Error::other)?);
    let shown = tls.clone();
    let ends_at = move || shown.certificate().ends_at.unwrap_or(0);
    metrics.source(&names::TLS_CERTIFICATE_NOT_AFTER, &[], ends_at);
    for why in Failure::ALL {
        let counted = tls.clone();
        metrics.source(&names::TLS_HANDSHAKE_FAILURES, &[why.as_str()], move || counted.failures(why));
    }
    Ok(tls)
}

/// What the controller is told.
fn report(
    loaded: Arc<Loaded>,
    front: Arc<Front>,
    status: watch::Receiver<Status>,
    accept: CancellationToken,
) -> impl Fn() -> GatewayReport + Send + Sync + 'static {
    move || {
        let Stats { connections, subscriptions, .. } = (front.stats)();
        let backbone = status.borrow().clone();
        GatewayReport {
            generation: loaded.generation(),
            connections,
            subscriptions,
            backbone_connected: backbone.connected,
            feed: backbone.feed,
            stream_trouble: backbone.trouble.as_deref().map(Into::into),
            draining: accept.is_cancelled(),
            rejected: loaded.rejected(),
        }
    }
}

fn alive(shards: &[Running]) -> Result<(), String> {
    match shards.iter().position(|shard| shard.silence() > SILENCE) {
        None => Ok(()),
        Some(shard) => {
            Err(format!("shard {shard} has not come round for more than {SILENCE:?}: restart the pod"))
        }
    }
}
