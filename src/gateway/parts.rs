//! The parts of a gateway that a configuration decides: made from it, and put in the places where they are used.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    access::{Access, AccessError},
    backbone::{Change, Exchange, Gone, nats::BackboneError},
    certificate::{Certificate, CertificateError},
    config::Configuration,
    history::Keeping,
    http::{Front, OriginError, Origins},
    metrics::Metrics,
    services,
    shard::{Inbox, Settings, ShardEvent},
};
use crate::api::{Limits, MetricsSpec, Secrets, TopicGatewaySpec};

/// Why nothing can be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// Authentication is not configured well.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The backbone is not configured well.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The certificate for clients cannot be used.
    #[error("spec.listeners.tls: {0}")]
    Certificate(#[from] CertificateError),
    /// An origin is not one.
    #[error(transparent)]
    Origins(#[from] OriginError),
}

/// Everything but the backbone.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) access: Access,
    pub(super) origins: Origins,
    /// Whether messages may be compressed.
    pub(super) deflate: bool,
    pub(super) playground: bool,
    pub(super) certificate: Option<Certificate>,
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    pub(super) metrics: MetricsSpec,
    /// Of topics in memory.
    pub(super) keeping: Keeping,
}

/// Where the parts are used.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) access: Arc<ArcSwap<Access>>,
    pub(super) front: Arc<Front>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) inboxes: Arc<[Arc<Inbox>]>,
    pub(super) backbone: Exchange,
}

impl Parts {
    /// Makes them, without effect on anything that runs.
    pub(super) fn new(configuration: &Configuration) -> Result<Self, PartsError> {
        let Configuration { spec, secrets, session_keys, .. } = configuration;
        Ok(Self {
            access: Access::new(spec, secrets)?,
            origins: Origins::parse(&spec.listeners.allowed_origins)?,
            playground: spec.listeners.playground,
            deflate: spec.listeners.compression.is_some(),
            certificate: certificate(spec, secrets)?,
            limits: spec.limits.clone(),
            settings: Settings::new(spec, session_keys),
            metrics: spec.metrics.clone(),
            keeping: Keeping::new(spec),
        })
    }
}

impl Places {
    /// Makes everything that another configuration asks for, without effect on what runs.
    pub(super) async fn prepare(&self, configuration: &Configuration) -> Result<(Parts, Change), PartsError> {
        let parts = Parts::new(configuration)?;
        if let (Some(tls), Some(new)) = (&self.front.tls, &parts.certificate) {
            new.succeeds(&tls.certificate(), services::now())?;
        }
        let change = self.backbone.prepare(&configuration.spec.backbone, &configuration.secrets).await?;
        Ok((parts, change))
    }

    /// Puts new parts in the place of those in use. The backbone goes first, for only that can fail: its task may
    /// have ended.
    pub(super) async fn put(&mut self, parts: Parts, change: Change) -> Result<(), Gone> {
        self.backbone.take_over(change).await?;
        let before = self.access.load_full();
        if !parts.access.judges_like(&before) {
            let access = Arc::new(parts.access.after(&before));
            // For newcomers before it is for those who are there: whoever comes between is judged by the new one.
            self.access.store(access.clone());
            self.inboxes.iter().for_each(|inbox| inbox.push(ShardEvent::Access(access.clone())));
        }
        self.front.origins.store(Arc::new(parts.origins));
        self.front.deflate.store(parts.deflate, Ordering::Relaxed);
        self.front.playground.store(parts.playground, Ordering::Relaxed);
        // A pod that began without TLS goes on without, and one that began with it goes on with what it has.
        if let (Some(tls), Some(new)) = (&self.front.tls, parts.certificate) {
            tls.replace(Arc::new(new));
        }
        self.front.admission.limit(parts.limits);
        self.metrics.fold(&parts.metrics);
        self.backbone.keep(parts.keeping);
        let settings = Arc::new(parts.settings);
        for inbox in self.inboxes.iter() {
            inbox.push(ShardEvent::Settings(settings.clone()));
        }
        Ok(())
    }
}

/// What clients are shown, where they speak TLS.
pub(super) fn certificate(
    spec: &TopicGatewaySpec,
    secrets: &Secrets,
) -> Result<Option<Certificate>, CertificateError> {
    let tls = spec.listeners.tls.as_ref();
    tls.map(|tls| Certificate::read(secrets, &tls.secret_ref)).transpose()
}

/// Over how long a gateway with this configuration closes its connections when it goes away.
pub(super) fn drain_window(configuration: &Configuration) -> Duration {
    Duration::from_secs(u64::try_from(configuration.spec.drain.window_seconds).unwrap_or(0))
}
