//! One gateway pod: every part put together, from the first listener to the last goodbye.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::{Access, AccessError},
    backbone::{self, Handle, nats::BackboneError},
    http::{self, Front, OriginError, Origins, Placement, Stats, admin},
    limits::Admission,
    metrics::{Metrics, names},
    protocol::GapReason,
    publisher::{self, Publisher},
    services,
    shard::{Channels, Inbox, Running, Settings, Shard, ShardEvent},
    topics::Registry,
};
use crate::{
    api::{Limits, Secrets, TopicGatewaySpec},
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
    /// Whether `/demo/publish` is there.
    pub demo: bool,
    /// The resource's generation, for the metrics.
    pub generation: i64,
    /// How many connections the open files have room for.
    pub files: Shares,
}

/// Why a pod does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Authentication is not configured well.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The backbone is not configured well.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// An origin is not one.
    #[error(transparent)]
    Origins(#[from] OriginError),
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
}

impl Pod {
    /// Starts everything. The gateway serves from here on, though it may not be ready yet.
    pub fn start(spec: &TopicGatewaySpec, secrets: &Secrets, options: Options) -> Result<Self, StartError> {
        let access = Arc::new(Access::new(spec, secrets)?);
        let origins = Origins::parse(&spec.listeners.allowed_origins)?;
        let (tasks, control, accept) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let count = available_parallelism().map_or(1, usize::from);
        let shards = (0..count).map(Shard::new).collect::<io::Result<Vec<_>>>()?;
        let inboxes: Arc<[Arc<Inbox>]> = shards.iter().map(Shard::inbox).collect();
        let registry = Registry::new();
        let metrics = Metrics::new(count, registry.clone(), &spec.metrics);
        let counts = Arc::new(backbone::Counts::default());
        let backbone = start_backbone(spec, secrets, &inboxes, &counts, &tasks, &control)?;
        let publisher = Publisher::new(backbone.publishes.clone());
        let readiness = Arc::new(Readiness::new(&[(admin::BACKBONE, NOT_CONNECTED)]));
        show(&metrics, &counts, &publisher, &backbone, options.generation);
        tasks.spawn(follow(backbone.clone(), readiness.clone(), control.clone()));

        let (requests, asked) = mpsc::channel(REQUESTS);
        tasks.spawn(services::run(
            asked,
            access.clone(),
            publisher.clone(),
            inboxes.clone(),
            control.clone(),
        ));
        let settings = Arc::new(Settings::new(spec));
        let channels = Channels { interests: backbone.interests, requests };
        let start = |(index, shard): (usize, Shard)| {
            shard.start(settings.clone(), channels.clone(), metrics.shard(index).clone(), registry.clone())
        };
        let shards: Arc<[Running]> =
            shards.into_iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?.into();

        let limits = within(&spec.limits, options.files);
        let front = front(&limits, origins, access, publisher, &metrics, &inboxes, options.demo);
        let (accepting, handed_over, mut status) = (accept.clone(), tasks.clone(), backbone.status);
        tasks.spawn(async move {
            // Clients that come at once need not be refused only because NATS is a moment later.
            let first = status.wait_for(|status| status.connected);
            let _ = timeout(FIRST_CONNECTION, accepting.run_until_cancelled(first)).await;
            http::serve(options.public, options.files.http, Arc::new(front), &handed_over, accepting).await;
        });
        let watched = shards.clone();
        let router = admin::router(metrics, readiness.clone(), move || alive(&watched));
        let admin = (TaskTracker::new(), CancellationToken::new());
        admin.0.spawn(runtime::admin::serve(options.admin, router, admin.1.clone()));
        Ok(Self { inboxes, shards, readiness, tasks, accept, control, admin })
    }

    /// Ends: not ready, nothing accepted, everybody told and closed evenly over `window`, the backbone drained.
    /// Returns at the latest twenty seconds after the window; `false` if something had to be left undone.
    pub async fn drain(self, window: Duration) -> bool {
        self.readiness.unmet(admin::DRAINING, "this gateway is going away", Instant::now());
        self.accept.cancel();
        for inbox in self.inboxes.iter() {
            inbox.push(ShardEvent::Drain { window });
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
        all_gone && finished
    }
}

const NOT_CONNECTED: &str = "the backbone is not connected: look at its address and credentials";

fn start_backbone(
    spec: &TopicGatewaySpec,
    secrets: &Secrets,
    inboxes: &Arc<[Arc<Inbox>]>,
    counts: &Arc<backbone::Counts>,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Handle, BackboneError> {
    let (inboxes, counts, cancel) = (inboxes.clone(), counts.clone(), cancel.clone());
    match &spec.backbone.nats {
        Some(nats) => backbone::nats::spawn(nats, secrets, inboxes, counts, tasks, cancel),
        None => Ok(backbone::memory::spawn(inboxes, counts, tasks, cancel)),
    }
}

/// Tells the metrics what other parts count.
fn show(
    metrics: &Metrics,
    counts: &Arc<backbone::Counts>,
    publisher: &Publisher,
    backbone: &Handle,
    generation: i64,
) {
    let show_count = |metric, read: fn(&backbone::Counts) -> &AtomicU64| {
        let own = counts.clone();
        metrics.source(metric, &[], move || read(&own).load(Relaxed));
    };
    show_count(&names::MESSAGES_RECEIVED, |counts| &counts.messages_received);
    show_count(&names::MESSAGES_RECEIVED_BYTES, |counts| &counts.bytes_received);
    show_count(&names::MESSAGES_NOT_JSON, |counts| &counts.not_json);
    show_count(&names::MESSAGES_IGNORED, |counts| &counts.ignored_subjects);
    show_count(&names::BACKBONE_DROPPED, |counts| &counts.dropped);
    show_count(&names::BACKBONE_ERRORS, |counts| &counts.server_errors);
    let own = counts.clone();
    metrics.source(&names::GAPS, &[GapReason::Backbone.as_str()], move || own.gaps.load(Relaxed));
    let (connected, reconnects) = (backbone.status.clone(), backbone.status.clone());
    metrics.source(&names::BACKBONE_CONNECTED, &[], move || connected.borrow().connected.into());
    metrics.source(&names::BACKBONE_RECONNECTS, &[], move || reconnects.borrow().reconnects);
    let generation = u64::try_from(generation).unwrap_or(0);
    metrics.source(&names::CONFIG_GENERATION, &[], move || generation);
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
    limits: &Limits,
    origins: Origins,
    access: Arc<Access>,
    publisher: Publisher,
    metrics: &Arc<Metrics>,
    inboxes: &Arc<[Arc<Inbox>]>,
    demo: bool,
) -> Front {
    let admission = Admission::new(limits);
    let (seats, shown, placed) = (admission.clone(), metrics.clone(), metrics.clone());
    let accept_errors = Arc::new(AtomicU64::new(0));
    let not_accepted = accept_errors.clone();
    metrics.source(&names::ACCEPT_ERRORS, &[], move || not_accepted.load(Relaxed));
    Front {
        admission,
        origins,
        identify: Box::new(move |token| match token {
            None => Ok(access.anonymous()),
            Some(token) => {
                access.authenticate(token, services::now()).map(Some).map_err(|error| error.to_string())
            }
        }),
        publish: Box::new(move |user, topic, id, body| publisher.publish(&user, topic, id, body).boxed()),
        stats: Box::new(move || {
            let (topics, subscriptions) = shown.topics().totals();
            Stats { connections: seats.connections(), topics, subscriptions }
        }),
        placement: Placement::new(inboxes.to_vec(), move |shard| placed.shard(shard).connections()),
        demo,
        accept_errors,
    }
}

/// The limits, with no more connections than there are files for.
fn within(limits: &Limits, files: Shares) -> Limits {
    let room = i32::try_from(files.connections).unwrap_or(i32::MAX);
    let connections = if limits.connections == 0 { room } else { limits.connections.min(room) };
    Limits { connections, ..limits.clone() }
}

fn alive(shards: &[Running]) -> Result<(), String> {
    match shards.iter().position(|shard| shard.silence() > SILENCE) {
        None => Ok(()),
        Some(shard) => {
            Err(format!("shard {shard} has not come round for more than {SILENCE:?}: restart the pod"))
        }
    }
}
