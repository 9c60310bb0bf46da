//! What an error of the API server means: for the user a problem, or for the controller only to try again.

use std::error::Error;

use super::{observed::Problem, reason::Reason};

/// Why a request was not granted.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Somebody has to be told.
    Problem(Problem),
    /// It is gone, or not there yet: the next event tells more.
    Gone,
    /// Somebody else was faster, or the API server is not well: try again.
    Passing(kube::Error),
}

/// What it means that `action` (as "apply Service prices/m") ended like this.
pub(crate) fn refusal(action: &str, error: kube::Error) -> Refusal {
    let kube::Error::Api(status) = &error else { return Refusal::Passing(error) };
    let said = status.message.trim_end_matches('.');
    match status.code {
        // Whatever is left in a namespace goes with it.
        403 if said.contains("because it is being terminated") => Refusal::Gone,
        403 => problem(
            Reason::Forbidden,
            format!(
                "the controller may not {action}: grant it to its ServiceAccount, or lift the quota or policy that forbids it ({said})"
            ),
        ),
        404 => Refusal::Gone,
        400 | 413 | 422 => problem(
            Reason::Rejected,
            format!(
                "the API server refuses to {action}: {said}; mend the field of the spec it was made from"
            ),
        ),
        409 | 429 | 503 | 504 => Refusal::Passing(error),
        _ => problem(Reason::ApplyFailed, format!("the API server does not {action}: {said}")),
    }
}

fn problem(reason: Reason, message: String) -> Refusal {
    Refusal::Problem(Problem { reason, message })
}

/// What lies at the bottom of an error, as "Connection refused".
pub(crate) fn cause(error: &dyn Error) -> &dyn Error {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16, message: &str) -> Refusal {
        let status = Status::failure(message, "").with_code(code);
        refusal("apply Service prices/m", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn what_somebody_must_mend_is_a_problem_that_names_object_and_action() {
        for (code, message, reason, expected) in [
            (403, "services is forbidden.", Reason::Forbidden, "may not apply Service prices/m: grant it"),
            (
                422,
                "spec.x: wrong",
                Reason::Rejected,
                "refuses to apply Service prices/m: spec.x: wrong; mend",
            ),
            (413, "too large", Reason::Rejected, "refuses to apply Service prices/m: too large; mend"),
            (500, "webhook failed", Reason::ApplyFailed, "does not apply Service prices/m: webhook failed"),
        ] {
            let Refusal::Problem(problem) = refused(code, message) else { panic!("{code}") };
            assert_eq!(problem.reason, reason);
            assert!(problem.message.contains(expected), "{}", problem.message);
        }
    }

    #[test]
    fn what_passes_by_itself_is_none() {
        for code in [409, 429, 503, 504] {
            assert!(matches!(refused(code, ""), Refusal::Passing(_)), "{code}");
        }
        assert!(matches!(refused(404, "namespaces \"x\" not found"), Refusal::Gone));
        let terminating = "unable to create new content in namespace x because it is being terminated";
        assert!(matches!(refused(403, terminating), Refusal::Gone));
    }
}
