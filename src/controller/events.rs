//! Events on a `TopicGateway`: what has changed, told once.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::{
    names,
    reason::Reason,
    refusal::{Refusal, refusal},
};

/// Longest note in bytes, as the API has it.
const LONGEST_NOTE: usize = 1024;
/// Conditions whose changes are told, the most telling first.
const TOLD: [&str; 4] = ["Stalled", "ResolvedRefs", "BackboneConnected", "Ready"];

/// One Event to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Whether somebody should look.
    pub(crate) warning: bool,
    /// From the vocabulary of [`Reason`].
    pub(crate) reason: String,
    /// What the controller did or looked at.
    pub(crate) action: &'static str,
    /// Names the object and the next action.
    pub(crate) text: String,
}

impl Note {
    /// That a child was put right.
    pub(crate) fn corrected(text: String) -> Self {
        Self { warning: false, reason: Reason::Corrected.as_str().into(), action: "Apply", text }
    }

    /// That an optional API is not used, and which right is missing for it.
    pub(crate) fn forbidden(api: &str, why: &str) -> Self {
        let text = format!("no {api} is made: {why}");
        Self { warning: true, reason: Reason::Forbidden.as_str().into(), action: "Watch", text }
    }
}

/// What is worth an Event between two states: changed reasons, each told by the condition that says most.
pub(crate) fn transitions(before: &[Condition], after: &[Condition]) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for name in TOLD {
        let find = |conditions: &[Condition]| conditions.iter().find(|it| it.type_ == name).cloned();
        let (old, Some(new)) = (find(before), find(after)) else { continue };
        let same = old.as_ref().is_some_and(|old| (&old.status, &old.reason) == (&new.status, &new.reason));
        let bad = if name == "Stalled" { "True" } else { "False" };
        // That all was well from the start, or nothing is stalled any more, is told by `Ready` alone.
        let recovers = old.is_some_and(|old| old.status == bad) && name != "Stalled";
        let quiet = new.status != bad && name != "Ready" && !recovers;
        if same || quiet || new.status == "Unknown" || notes.iter().any(|note| note.reason == new.reason) {
            continue;
        }
        let waits = name == "Ready" && is_on_its_way(after);
        notes.push(Note {
            warning: new.status == bad && !waits,
            reason: new.reason,
            action: "Reconcile",
            text: new.message,
        });
    }
    notes
}

fn is_on_its_way(conditions: &[Condition]) -> bool {
    conditions.iter().any(|it| it.type_ == "Reconciling" && it.status == "True")
}

/// Publishes the Events of one gateway. What repeats within minutes becomes a series; what says something new does not.
#[derive(Default)]
pub(crate) struct Publisher {
    recorder: Option<Recorder>,
    /// The last text by reason; bounded by the vocabulary.
    texts: BTreeMap<String, String>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("texts", &self.texts).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Publishes a note. That it cannot is logged and keeps nothing up.
    pub(crate) async fn publish(
        &mut self,
        client: &Client,
        identity: &str,
        object: &ObjectReference,
        note: Note,
    ) {
        if self.texts.get(&note.reason).is_some_and(|text| *text != note.text) {
            // The recorder takes what has the same reason for the same, whatever it says.
            self.recorder = None;
        }
        let recorder = self.recorder.get_or_insert_with(|| {
            let reporter =
                Reporter { controller: names::FIELD_MANAGER.into(), instance: Some(identity.to_owned()) };
            Recorder::new(client.clone(), reporter)
        });
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.clone(),
            note: Some(shortened(&note.text)),
            action: note.action.into(),
            secondary: None,
        };
        if let Err(error) = recorder.publish(&event, object).await
            && let Some(error) = complaint(error)
        {
            tracing::warn!(error, reason = note.reason, "An Event could not be published.");
        }
        self.texts.insert(note.reason, note.text);
    }
}

/// What to say of an Event that was not taken: nothing where its namespace goes away, for the Event would go with it.
fn complaint(error: kube::Error) -> Option<String> {
    match refusal("publish an Event", error) {
        Refusal::Gone => None,
        Refusal::Problem(problem) => Some(problem.message),
        Refusal::Passing(error) => Some(error.to_string()),
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(LONGEST_NOTE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message: format!("about {reason}"),
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
            ),
            observed_generation: Some(1),
        }
    }

    fn told(before: &[Condition], after: &[Condition]) -> Vec<(bool, String)> {
        transitions(before, after).into_iter().map(|note| (note.warning, note.reason)).collect()
    }

    #[test]
    fn a_missing_secret_is_told_once_and_so_is_its_coming() {
        let well = [
            condition("Ready", "True", "AllReplicasReady"),
            condition("ResolvedRefs", "True", "ResolvedRefs"),
            condition("Stalled", "False", "Settled"),
        ];
        let ill = [
            condition("Ready", "False", "SecretNotFound"),
            condition("ResolvedRefs", "False", "SecretNotFound"),
            condition("Stalled", "True", "SecretNotFound"),
        ];
        assert_eq!(told(&well, &ill), [(true, "SecretNotFound".into())]);
        assert_eq!(told(&ill, &ill), []);
        let back = [(false, "ResolvedRefs".into()), (false, "AllReplicasReady".into())];
        assert_eq!(told(&ill, &well), back);
    }

    #[test]
    fn the_first_visit_tells_only_how_ready_is_and_what_is_wrong() {
        let first = [
            condition("Ready", "False", "WaitingForReplicas"),
            condition("ResolvedRefs", "True", "ResolvedRefs"),
            condition("Reconciling", "True", "WaitingForReplicas"),
            condition("BackboneConnected", "Unknown", "NoReport"),
            condition("Stalled", "False", "Settled"),
        ];
        assert_eq!(told(&[], &first), [(false, "WaitingForReplicas".into())]);
    }

    #[test]
    fn an_event_that_goes_with_its_namespace_is_no_complaint() {
        let refused = |code, message: &str| {
            kube::Error::Api(kube::core::Status::failure(message, "").with_code(code).boxed())
        };
        let terminating = "events \"m\" is forbidden: unable to create new content in namespace x because it is being terminated";
        assert_eq!(complaint(refused(403, terminating)), None);
        let told = complaint(refused(403, "events is forbidden")).unwrap();
        assert!(told.contains("may not publish an Event: grant it"), "{told}");
        assert!(complaint(refused(503, "busy")).is_some());
    }

    #[test]
    fn a_note_is_cut_at_a_character() {
        let text = "é".repeat(LONGEST_NOTE);
        assert_eq!(shortened(&text).len(), LONGEST_NOTE);
        assert!(shortened(&format!("a{text}")).len() < LONGEST_NOTE);
    }
}
