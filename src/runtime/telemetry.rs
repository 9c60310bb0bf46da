//! Logs: plain lines on a terminal, JSON elsewhere, to stderr. `RUST_LOG` chooses what is said. And [traces].

mod traces;

use std::{
    env,
    io::{self, IsTerminal, Write as _},
};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan,
    util::SubscriberInitExt,
};

pub(crate) use traces::{ENDPOINTS, Traces, follow, trace_id};

use super::colours;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; with colours where stderr is a terminal and `NO_COLOR` is not set.
    Plain,
    /// One JSON object per line, for collectors.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `RUST_LOG` is not a list of directives.
    #[error(
        "RUST_LOG={text} is not a log filter ({reason}): write for example RUST_LOG=info,topic_gateway=debug"
    )]
    Filter {
        /// What it says.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Where traces go.
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// Only one can be in a process.
    #[error("logging was set up before")]
    Twice,
}

impl Format {
    /// [`Format::Plain`] where stderr is a terminal, else [`Format::Json`].
    pub fn detect() -> Self {
        if io::stderr().is_terminal() { Self::Plain } else { Self::Json }
    }
}

/// What is said without `RUST_LOG`. The NATS client tells of every message it drops at `info`: the gateway counts them
/// and says it once. The Kubernetes client tells of every request that fails: the controller does, with what to do.
const DEFAULT: &str =
    "info,async_nats=warn,kube_client=off,kube_runtime=off,opentelemetry_sdk=warn,opentelemetry-otlp=warn";

/// Sets up logging for the process, at `info` (the NATS client at `warn`) unless `RUST_LOG` says otherwise, and traces
/// under this name of the service where a collector is named. What is returned is to be kept to the end: it sends what
/// is still on its way then.
pub fn init(format: Format, service: &'static str) -> Result<Option<Traces>, Error> {
    let filter = filter(&env::var("RUST_LOG").unwrap_or_default())?;
    let colours = colours::wanted(&io::stderr());
    let writer = move || {
        let mut stderr = io::stderr();
        if colours {
            // What is shown of what goes on (`dev`) is no part of this line.
            let _ = stderr.write_all(b"\r\x1b[K");
        }
        stderr
    };
    let log = log(format, filter, colours, writer);
    let traces = Traces::from_environment(service)?;
    let spans = traces.as_ref().map(Traces::layer);
    // The layer of spans is below: it is made for a registry alone.
    Registry::default().with(spans).with(log).try_init().map_err(|_| Error::Twice)?;
    Ok(traces)
}

fn filter(text: &str) -> Result<EnvFilter, Error> {
    let text = if text.is_empty() { DEFAULT } else { text };
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(text)
        .map_err(|error| Error::Filter { text: text.to_owned(), reason: error.to_string() })
}

fn log<S, W>(format: Format, filter: EnvFilter, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        Format::Plain => lines.with_target(false).with_ansi(colours).with_filter(filter).boxed(),
        Format::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What `log` writes in this format under this filter.
    fn written(format: Format, directives: &str, log: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let lines = super::log(format, filter(directives).unwrap(), false, move || writer.clone());
        tracing::subscriber::with_default(Registry::default().with(lines), log);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn info_is_said_and_debug_is_not_by_default() {
        let text = written(Format::Plain, "", || {
            tracing::info!(port = 8080, "Serving.");
            tracing::debug!("Detail.");
        });
        assert!(text.trim_end().ends_with("INFO Serving. port=8080"), "{text:?}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn the_nats_client_is_quiet_below_warnings_unless_it_is_asked_for() {
        let log = || {
            tracing::info!(target: "async_nats", "dropped");
            tracing::warn!(target: "async_nats", "lost");
        };
        let text = written(Format::Plain, "", log);
        assert!(text.contains("WARN lost") && !text.contains("dropped"), "{text:?}");
        assert!(written(Format::Plain, "info", log).contains("INFO dropped"));
    }

    #[test]
    fn json_is_one_object_per_line_with_the_fields_beside_the_message() {
        let text = written(Format::Json, "debug", || tracing::debug!(port = 8080, "Serving."));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["port"], &line["level"]),
            (&"Serving.".into(), &8080.into(), &"DEBUG".into())
        );
    }

    #[test]
    fn a_wrong_filter_is_named_with_what_to_write_instead() {
        let message = filter("gateway=loud").unwrap_err().to_string();
        assert!(message.starts_with("RUST_LOG=gateway=loud is not a log filter ("), "{message}");
    }
}
