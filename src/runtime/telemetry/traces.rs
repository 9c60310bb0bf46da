//! Traces by OpenTelemetry: spans of the reconcile and publish paths, sent by OTLP over HTTP (protobuf) to the collector
//! that one of [`ENDPOINTS`] names. Without one nothing is recorded.
//!
//! The other variables of its specification count as well: `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`,
//! `OTEL_BSP_*`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`. At most `OTEL_BSP_MAX_QUEUE_SIZE` spans (2 048) wait to
//! be sent; what is beyond is dropped and logged. Spans are sent by a thread of their own, which ends with [`Traces`].

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{
    propagation::TextMapPropagator as _,
    trace::{TraceContextExt as _, TraceId, TracerProvider as _},
};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::{runtime::Runtime, time::timeout};
use tracing::{Span, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

/// The variables that name the collector, the one for traces alone first: a URL, whose path the second one leaves out.
pub(crate) const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The name of the service, where its variable gives none.
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// Longest wait for the collector, which may ask for less by `OTEL_EXPORTER_OTLP_TIMEOUT`.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for what is still on its way when the process ends.
const FLUSH: Duration = Duration::from_secs(3);
/// Most bytes of a collector's answer, which says little.
const MOST_ANSWER: usize = 64 * 1024;

/// Why traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What names the collector is no URL.
    #[error("{variable}={value} is not the URL of a collector: write for example http://collector:4318")]
    Endpoint {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// The exporter refuses what the variables say.
    #[error("traces cannot be set up ({0}): look at the OTEL_… variables, or unset them")]
    Exporter(String),
}

/// Spans on their way to a collector. Dropped, it sends what it has, for at most 3 s; not to be dropped by asynchronous
/// code, as it waits.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Nothing where no collector is named.
    pub(super) fn from_environment(service: &'static str) -> Result<Option<Self>, Error> {
        let set = |variable: &'static str| {
            let value = env::var(variable).ok().filter(|value| !value.is_empty())?;
            Some((variable, value))
        };
        let Some((variable, value)) = ENDPOINTS.into_iter().find_map(set) else { return Ok(None) };
        let url = value.parse::<Uri>().ok();
        if url.is_none_or(|url| url.host().is_none() || !matches!(url.scheme_str(), Some("http" | "https"))) {
            return Err(Error::Endpoint { variable, value });
        }
        let collector = Collector::new(value)?;
        let exporter = SpanExporter::builder().with_http().with_http_client(collector).build();
        let exporter = exporter.map_err(|error| Error::Exporter(error.to_string()))?;
        let mut resource = Resource::builder();
        if set(SERVICE_NAME).is_none() {
            resource = resource.with_service_name(service);
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
        Ok(Some(Self(provider.build())))
    }

    /// Takes the spans of this program; those of its libraries are their own matter.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let own = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("topic_gateway"));
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("topic-gateway"))
            .with_location(false)
            .with_threads(false)
            .with_filter(own.with_max_level_hint(LevelFilter::DEBUG))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "The last traces could not be sent.");
        }
    }
}

/// Makes a span the child of the one that a request names by `traceparent` (W3C Trace Context).
pub(crate) fn follow(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() || !headers.contains_key("traceparent") {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(%error, "A span begins a trace of its own.");
    }
}

/// The trace that a span belongs to, so that a log can name it; nothing where none is recorded.
pub(crate) fn trace_id(span: &Span) -> Option<TraceId> {
    let context = span.context();
    let id = context.span().span_context().trace_id();
    (id != TraceId::INVALID).then_some(id)
}

/// Carries the exporter's requests. Each on a connection of its own: there is one every few seconds.
#[derive(Debug)]
struct Collector {
    /// As it was given, for the log.
    endpoint: String,
    /// The exporter's thread is none of the process's runtime.
    runtime: Runtime,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Whether the last request failed: said once.
    failing: AtomicBool,
}

impl Collector {
    fn new(endpoint: String) -> Result<Self, Error> {
        let refused = |error: std::io::Error| Error::Exporter(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Exporter(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { endpoint, runtime, client, failing: AtomicBool::new(false) })
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = self.client.request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, MOST_ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    /// Logs that it fails, and that it does no more.
    fn tell(&self, failure: Option<String>) {
        let failed = self.failing.swap(failure.is_some(), Relaxed);
        match failure {
            Some(error) if !failed => tracing::warn!(
                endpoint = self.endpoint,
                error,
                "Traces cannot be sent and are dropped until they can: look at the collector and at the address."
            ),
            None if failed => tracing::info!(endpoint = self.endpoint, "Traces are sent again."),
            _ => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.runtime.block_on(async { timeout(PATIENCE, self.exchange(request)).await });
        let answer = answer.unwrap_or_else(|_| Err("it does not answer".into()));
        self.tell(match &answer {
            Err(error) => Some(causes(&**error)),
            Ok(answer) => (!answer.status().is_success()).then(|| format!("it answers {}", answer.status())),
        });
        answer
    }
}

/// An error with what is behind it: `connection refused` is the last of three.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(error.source(), |error| error.source());
    chain.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
