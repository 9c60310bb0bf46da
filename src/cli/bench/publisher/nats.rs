//! Publishing straight to NATS, as back ends do.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_nats::{Client, ConnectOptions, Event, HeaderMap, ServerAddr};
use bytes::Bytes;
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

use super::{Outlet, Unconfirmed};
use crate::{
    api::Stamp,
    cli::{
        Failure,
        bench::plan::Plan,
        client::{PATIENCE, tame},
    },
};

/// How to reach the NATS servers.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Options {
    /// Publish straight to NATS at this address instead of over the gateway; several divided by commas. Other
    /// users of this machine can see a secret in it: prefer the environment, or --nats-credentials
    #[arg(
        long,
        env = "TOPIC_GATEWAY_NATS",
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "idle"
    )]
    pub(in crate::cli) nats: Option<String>,
    /// Credentials file for NATS
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub(in crate::cli) nats_credentials: Option<PathBuf>,
    /// CA certificates of the NATS servers, in PEM
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub(in crate::cli) nats_ca: Option<PathBuf>,
    /// What stands before a topic in its NATS subject: the resource's backbone.nats.subjectPrefix
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub(in crate::cli) nats_prefix: String,
}

/// A connection to NATS. Messages carry the time of their publishing, so that the gateway measures what it delivers.
pub(in crate::cli::bench) struct Nats<'a> {
    plan: &'a Plan,
    prefix: String,
    /// Drives the connection, only while this program waits for it.
    runtime: Runtime,
    client: Client,
    queue: Vec<(String, Bytes)>,
    /// The first error that the server told.
    complaint: Arc<Mutex<Option<String>>>,
}

impl<'a> Nats<'a> {
    /// Connects, if there is a server to connect to.
    pub(in crate::cli::bench) fn open(plan: &'a Plan, options: &Options) -> Result<Option<Self>, Failure> {
        let Some(url) = &options.nats else { return Ok(None) };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| Failure::internal(format!("cannot start the runtime: {error}")))?;
        let complaint = Arc::new(Mutex::new(None));
        let client = runtime.block_on(connect(url, options, complaint.clone()))?;
        let prefix = match options.nats_prefix.trim_end_matches('.') {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        Ok(Some(Self { plan, prefix, runtime, client, queue: Vec::new(), complaint }))
    }
}

async fn connect(
    url: &str,
    options: &Options,
    complaint: Arc<Mutex<Option<String>>>,
) -> Result<Client, Failure> {
    let mut settings = ConnectOptions::new().name("topic-gateway-bench").event_callback(move |event| {
        if let Event::ServerError(error) = event {
            complaint.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }
        std::future::ready(())
    });
    if let Some(file) = &options.nats_credentials {
        settings = settings.credentials_file(file).await.map_err(|error| {
            Failure::usage(format!("cannot read credentials for NATS from {}: {error}", file.display()))
        })?;
    }
    if let Some(file) = &options.nats_ca {
        settings = settings.add_root_certificates(file.clone());
    }
    // The address may hold a password: it is not repeated.
    let servers: Result<Vec<ServerAddr>, _> = url.split(',').map(|server| server.trim().parse()).collect();
    let servers = servers.map_err(|_| {
        Failure::usage("--nats is no address of NATS servers: write it like nats://127.0.0.1:4222")
    })?;
    if let Some(server) = servers.iter().find(|server| server.has_user_pass()) {
        let name = server.username().unwrap_or_default().to_owned();
        settings = match server.password() {
            Some(password) => settings.user_and_password(name, password.into()),
            None => settings.token(name),
        };
    }
    let connected = timeout(PATIENCE, settings.connect(servers)).await;
    let why = match connected {
        Ok(Ok(client)) => return Ok(client),
        Ok(Err(error)) => tame(&error.to_string()),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    Err(Failure::unavailable(format!("cannot reach NATS: {why}; check --nats and its credentials")))
}

impl Outlet for Nats<'_> {
    fn put(&mut self, topic: u64, _: u64, body: &[u8]) {
        let subject = format!("{}{}", self.prefix, self.plan.topic(topic));
        self.queue.push((subject, Bytes::copy_from_slice(body)));
    }

    fn send(&mut self) -> Result<(), Failure> {
        let (client, queue) = (&self.client, &mut self.queue);
        let mut headers = HeaderMap::new();
        if let Some(stamp) = Stamp::at(SystemTime::now()) {
            headers.insert(async_nats::header::NATS_TIME_STAMP, stamp.to_string());
        }
        let publish = async {
            for (subject, body) in queue.drain(..) {
                client
                    .publish_with_headers(subject, headers.clone(), body)
                    .await
                    .map_err(|e| e.to_string())?;
            }
            client.flush().await.map_err(|error| error.to_string())
        };
        let done = self.runtime.block_on(async { timeout(PATIENCE, publish).await });
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = match (complaint, done) {
            (Some(complaint), _) => complaint,
            (None, Ok(Ok(()))) => return Ok(()),
            (None, Ok(Err(error))) => error,
            (None, Err(_)) => format!("nothing was taken for {} s", PATIENCE.as_secs()),
        };
        let why = tame(&why);
        Err(Failure::unavailable(format!("cannot publish to NATS: {why}; look at the NATS server's log")))
    }

    fn rest(&mut self, wait: Duration) -> Result<(), Failure> {
        self.runtime.block_on(async { sleep(wait).await });
        Ok(())
    }

    fn finish(&mut self) -> Result<Unconfirmed, Failure> {
        // NATS confirms nothing: what arrives is what was taken.
        self.send()?;
        Ok(Unconfirmed::default())
    }
}
