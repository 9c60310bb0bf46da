//! Access to the API server, with every request counted.

use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use prometheus::IntCounterVec;
use tower::{Layer, Service};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is neither a pod's ServiceAccount nor a kubeconfig.
    #[error("no cluster to talk to: {0}; run in a pod with a ServiceAccount, or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// What there is cannot be used.
    #[error("the access to the cluster cannot be used: {0}; look at KUBECONFIG or the ServiceAccount")]
    Client(#[from] kube::Error),
}

/// A client as the surroundings say: `KUBECONFIG` or the ServiceAccount of the pod. Does not connect yet.
pub(crate) async fn connect(requests: &IntCounterVec) -> Result<Client, ClientError> {
    // Only the first can be the one of the process, and all are this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::infer().await?;
    let builder = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&Counting(requests.clone())).build())
}

/// Counts requests by method and status.
#[derive(Debug, Clone)]
struct Counting(IntCounterVec);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, requests: self.0.clone() }
    }
}

#[derive(Debug)]
struct Counted<S> {
    inner: S,
    requests: IntCounterVec,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (method, requests) = (request.method().to_string(), self.requests.clone());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            let code =
                answer.as_ref().map_or("<error>".into(), |answer| answer.status().as_u16().to_string());
            requests.with_label_values(&[&method, &code]).inc();
            answer
        }
        .boxed()
    }
}
