//! `topic-gateway probe`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header::HOST};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{Failure, client, print};

/// Whoever is asked has so long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ask an address over plain HTTP and say whether it answers well
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  topic-gateway probe http://topic-gateway-controller:9090/readyz

Exit codes: 0 the answer was 2xx within 5 s, 64 not an address, 69 any other answer or none")]
pub(super) struct Args {
    /// The address, as `http://HOST:PORT/PATH`
    #[arg(value_name = "URL")]
    url: Uri,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let url = &args.url;
    let Some(host) = url.host().filter(|_| url.scheme_str() == Some("http")) else {
        return Err(Failure::usage(format!("{url} is not an address to ask: write http://HOST:PORT/PATH")));
    };
    let port = url.port_u16().unwrap_or(80);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::internal(format!("the system refuses what is needed to wait: {error}; raise its limits"))
    })?;
    let answer = runtime.block_on(async { timeout(PATIENCE, ask(url, host, port)).await });
    match answer {
        Ok(Ok(status)) if status.is_success() => print(&format!("{url}: {status}\n")),
        Ok(Ok(status)) => Err(Failure::unavailable(format!("{url} answers {status}"))),
        Ok(Err(error)) => {
            let why = error.downcast_ref().map_or_else(|| error.to_string(), client::in_words);
            Err(Failure::unavailable(format!("{url} does not answer: {why}")))
        }
        Err(_) => Err(Failure::unavailable(format!("{url} does not answer within {PATIENCE:?}"))),
    }
}

async fn ask(url: &Uri, host: &str, port: u16) -> anyhow::Result<http::StatusCode> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, format!("{host}:{port}")).body(Empty::<Bytes>::new())?;
    tokio::pin!(connection);
    let answered = sender.send_request(request);
    tokio::pin!(answered);
    tokio::select! {
        answer = &mut answered => Ok(answer?.status()),
        ended = &mut connection => {
            ended?;
            Ok(answered.await?.status())
        }
    }
}
