//! What a run came to.

use std::{fs::File, io::BufWriter, path::PathBuf};

use super::tally::Tally;
use crate::checker::{History, Report};

/// What the checker found, and what clients and publishers met.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) report: Report,
    /// Clients that did not get everything in time.
    pub(crate) late: Vec<String>,
    pub(crate) clients: Tally,
    pub(crate) publishers: Tally,
}

impl Verdict {
    /// Whether everybody got everything, and no rule was broken.
    pub(crate) fn is_clean(&self) -> bool {
        self.late.is_empty() && self.report.violations.is_empty()
    }

    /// Fails the test unless that is so, and nothing was met that should not be.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let Self { report, late, .. } = self;
        assert!(late.is_empty(), "{} clients never caught up: {late:#?}", late.len());
        report.assert_clean();
        for name in ["again", "by a pattern", "events"] {
            assert!(self.clients.of(name) > 0, "nobody met this: {name}");
        }
        let unexpected = self.unexpected();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        assert!(report.owed > 0 && report.published > 0, "{report}");
    }

    /// What must not be met at all.
    fn unexpected(&self) -> Vec<(String, u64)> {
        // A rate is none of the clients', and a history that is on its way already is no error of anybody.
        let allowed = ["error BACKBONE_UNAVAILABLE", "error LIMIT_EXCEEDED"];
        let mut unexpected = self.clients.beginning("error ");
        unexpected.retain(|(name, _)| !allowed.contains(&name.as_str()));
        for name in [
            "malformed",
            "not recoverable",
            "not subscribed",
            "holes",
            "gaps of no known reason",
            "twice by a pattern",
            "events of another name than their frames",
        ] {
            let count = self.clients.of(name);
            unexpected.extend(Some((name.to_owned(), count)).filter(|(_, count)| *count > 0));
        }
        let mut refusals = self.publishers.beginning("publish error ");
        refusals.retain(|(name, _)| name != "publish error BACKBONE_UNAVAILABLE retryable");
        unexpected.extend(refusals);
        unexpected
    }
}

/// Writes the history where it can be studied.
pub(super) fn keep(history: &History, seed: u64) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{seed}.jsonl"));
    history.write(BufWriter::new(File::create(&path).unwrap())).unwrap();
    println!("the history is in {}", path.display());
}
