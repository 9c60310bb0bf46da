//! The result in words, for a terminal.

use std::fmt::Write as _;

use super::figures::{Figures, Server, Work};
use crate::cli::client::tame;

/// What is printed on standard output; the verdict is its last line.
pub(super) fn text(figures: &Figures, reasons: &[String], colour: bool) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<11}{text}");
    };
    line("work", &work(&figures.work));
    let connected = &figures.connected;
    line(
        "connected",
        &format!(
            "{} connections with {} subscriptions in {:.1} s",
            connected.connections, connected.subscriptions, connected.seconds
        ),
    );
    if let Some(sent) = &figures.sent {
        line(
            "sent",
            &format!(
                "{} messages, {:.0} a second; late by {:.2} ms at p99, {:.2} ms at most",
                sent.messages, sent.messages_per_second, sent.lag_p99_ms, sent.lag_max_ms
            ),
        );
    }
    if let Some(delivery) = &figures.delivery {
        line(
            "delivered",
            &format!(
                "{} of {} ({:.3} %), {:.0} a second",
                delivery.delivered, delivery.expected, delivery.percent, delivery.deliveries_per_second
            ),
        );
        let numbers = match delivery.numbered {
            0 => "no seqNo to check".into(),
            numbered => format!("{} of {numbered} seqNo do not follow", delivery.broken_numbers),
        };
        line(
            "order",
            &format!(
                "{} missing, {} late or twice, {} gaps told; {numbers}",
                delivery.missing, delivery.late, delivery.gaps
            ),
        );
        if delivery.foreign > 0 {
            line("", &format!("{} messages of somebody else on these topics", delivery.foreign));
        }
    }
    if let Some(latency) = &figures.latency {
        line(
            "latency",
            &format!(
                "p50 {:.2}   p90 {:.2}   p99 {:.2}   p99.9 {:.2}   max {:.2} ms",
                latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms
            ),
        );
    }
    for closed in &figures.closes {
        line("closed", &format!("{} by {} ({})", closed.count, closed.code, tame(&closed.first_reason)));
    }
    if let Some(error) = &figures.first_error {
        line("errors", &format!("{}, the first: {}", figures.errors, tame(error)));
    }
    if figures.draining > 0 {
        line("draining", &format!("{} connections were told that their gateway goes away", figures.draining));
    }
    line("generator", &generator(figures));
    match &figures.server {
        Some(server) => line("server", &self::server(server)),
        None => line("server", "not looked at (--server-pid, on the same machine)"),
    }
    out.push_str(&verdict(reasons, colour));
    out
}

fn work(work: &Work) -> String {
    let held = format!(
        "{} connections, {} of {} topics each, at {}",
        work.connections, work.topics_per_connection, work.topics, work.url
    );
    if work.idle {
        return format!("{held}; nothing sent for {:.1} s", work.seconds);
    }
    let bursts = if work.burst > 1 { format!(" in bursts of {}", work.burst) } else { String::new() };
    format!(
        "{held}; {} messages a second{bursts} of {} bytes over {}, for {:.1} s after {:.1} s",
        work.messages_per_second, work.message_bytes, work.published_over, work.seconds, work.warmup_seconds
    )
}

fn generator(figures: &Figures) -> String {
    if figures.generator.is_empty() {
        return "its own CPU time cannot be seen on this system".into();
    }
    let threads = figures.generator.iter().map(|busy| {
        format!(
            "{} {:.0} % of a core, {:.0} % waiting",
            busy.thread,
            busy.running * 100.0,
            busy.waiting * 100.0
        )
    });
    threads.collect::<Vec<_>>().join("; ")
}

fn server(server: &Server) -> String {
    let delivery = server.cpu_nanos_per_delivery.map(|nanos| format!("{nanos:.0} ns of CPU per delivery, "));
    let idle = server
        .cpu_micros_per_idle_second
        .map(|micros| format!("{micros:.2} us of CPU per idle connection and second, "));
    format!(
        "{}{}{:.1} us per connect, {:.0} % of a core; {:.1} MB in memory ({:.1} MB its own), {} bytes per connection",
        delivery.unwrap_or_default(),
        idle.unwrap_or_default(),
        server.cpu_micros_per_connect,
        server.cores * 100.0,
        megabytes(server.resident_bytes),
        megabytes(server.own_bytes),
        server.bytes_per_connection
    )
}

/// Exact far beyond any machine's memory.
#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn verdict(reasons: &[String], colour: bool) -> String {
    let (word, paint) = if reasons.is_empty() { ("VALID", "32") } else { ("INVALID", "31") };
    let word = if colour { format!("\x1b[{paint};1m{word}\x1b[0m") } else { word.into() };
    let reasons: String = reasons.iter().fold(String::new(), |mut text, reason| {
        let _ = write!(text, "\n           {}", tame(reason));
        text
    });
    format!("{word}{reasons}\n")
}

#[cfg(test)]
mod tests {
    use super::{
        super::figures::{Closed, tests::good},
        *,
    };

    #[test]
    fn a_good_result_is_a_page_that_ends_with_its_verdict() {
        let text = text(&good(), &[], false);
        for part in [
            "connected  1 connections with 1 subscriptions in 1.5 s",
            "delivered  10 of 10 (100.000 %), 5 a second",
            "0 of 10 seqNo do not follow",
            "max 10.00 ms",
            "reader 0 25 % of a core, 5 % waiting",
            "4000000 ns of CPU per delivery",
            "400 bytes per connection",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(text.ends_with("\nVALID\n"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_reasons() {
        let mut figures = good();
        figures.closes.push(Closed { code: 4409, count: 3, first_reason: "slow\u{1b}[2J".into() });
        figures.first_error = Some("why".into());
        figures.errors = 2;
        let text = text(&figures, &["too slow".into(), "too few".into()], false);
        assert!(text.contains("closed     3 by 4409 (slow\u{fffd}[2J)"), "{text}");
        assert!(text.contains("errors     2, the first: why"), "{text}");
        assert!(text.ends_with("\nINVALID\n           too slow\n           too few\n"), "{text}");
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        assert!(text(&good(), &[], true).ends_with("\x1b[32;1mVALID\x1b[0m\n"));
        assert!(!text(&good(), &["no".into()], false).contains('\x1b'));
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        let mut figures = good();
        (figures.server, figures.generator) = (None, Vec::new());
        let text = text(&figures, &[], false);
        assert!(text.contains("--server-pid") && text.contains("cannot be seen"), "{text}");
    }
}
