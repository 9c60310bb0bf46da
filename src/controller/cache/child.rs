//! What is kept of a child's metadata.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use crate::controller::{names, queue::Key};

/// Metadata of a child: whose it is, and whether somebody has changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Its uid.
    pub(crate) uid: String,
    /// Changes when somebody changes anything but its status, see [`fingerprint`].
    pub(crate) fingerprint: u64,
    /// The uid of the controller that owns it.
    owner: Option<String>,
    /// Name of that controller, where it is a `TopicGateway`.
    owner_name: Option<String>,
    /// The gateway its labels name.
    instance: Option<String>,
    /// Whether this controller has applied it.
    applied_here: bool,
    /// Whether it is going away.
    pub(crate) deleting: bool,
    /// What holds it while it is going away.
    pub(crate) finalizers: Vec<String>,
    /// Stands for the fields that are this controller's own: it changes when somebody takes one over or away, and
    /// stays while others write fields beside them.
    pub(crate) ours: u64,
}

impl Meta {
    /// Keeps what passes look at.
    pub(crate) fn new(metadata: &ObjectMeta) -> Self {
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let gateway = owner.filter(|owner| owner.kind == "TopicGateway");
        let labels = metadata.labels.as_ref();
        let deleting = metadata.deletion_timestamp.is_some();
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            fingerprint: fingerprint(metadata),
            owner: owner.map(|owner| owner.uid.clone()),
            owner_name: gateway.map(|owner| owner.name.clone()),
            instance: labels.and_then(|labels| labels.get(names::INSTANCE)).cloned(),
            applied_here: managed_here(metadata).next().is_some(),
            deleting,
            finalizers: metadata.finalizers.clone().filter(|_| deleting).unwrap_or_default(),
            ours: ours(metadata),
        }
    }

    /// Whether its controller is the one with this uid.
    pub(crate) fn is_owned_by(&self, uid: &str) -> bool {
        self.owner.as_deref() == Some(uid)
    }

    /// Whether it was made for the gateway of this name and belongs to nobody now: somebody has taken its owner away,
    /// or has deleted the gateway with `--cascade=orphan`.
    pub(crate) fn is_left_behind(&self, gateway: &str) -> bool {
        self.owner.is_none() && self.applied_here && self.instance.as_deref() == Some(gateway)
    }

    /// The gateways it concerns: its owner, and the one its labels name (which may wait for the name).
    pub(crate) fn gateways(&self, namespace: &str) -> Vec<Key> {
        let mut names: Vec<&String> = self.owner_name.iter().chain(&self.instance).collect();
        names.dedup();
        names.into_iter().map(|name| Key::new(namespace, name)).collect()
    }
}

/// A number that stays as it is while nobody writes anything but the status: made from the uid, the generation and
/// who manages which fields since when (`managedFields`), but for what is managed in subresources. Many kinds have no
/// generation, and a `resourceVersion` moves with every status.
fn fingerprint(metadata: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&metadata.uid, metadata.generation, metadata.deletion_timestamp.is_some()).hash(&mut hasher);
    let managed = metadata.managed_fields.iter().flatten();
    for entry in managed.filter(|entry| entry.subresource.is_none()) {
        (&entry.manager, &entry.operation).hash(&mut hasher);
        entry.time.as_ref().map(|time| time.0.as_second()).hash(&mut hasher);
        entry.fields_v1.as_ref().map(|fields| fields.0.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

fn ours(metadata: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entry in managed_here(metadata) {
        entry.operation.hash(&mut hasher);
        entry.fields_v1.as_ref().map(|fields| fields.0.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

/// What this controller manages of it, but for what is managed in subresources.
fn managed_here(metadata: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    let managed = metadata.managed_fields.iter().flatten();
    managed
        .filter(|entry| entry.manager.as_deref() == Some(names::FIELD_MANAGER) && entry.subresource.is_none())
}

/// The `resourceVersion` as a number: larger is newer (KEP-5504). 0 where it is none.
pub(crate) fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn meta(changes: &Value) -> Meta {
        let mut whole = json!({
            "uid": "1", "generation": 1, "resourceVersion": "7",
            "labels": {"app.kubernetes.io/instance": "m"},
            "ownerReferences": [{
                "apiVersion": "topicgateway.io/v1alpha1", "kind": "TopicGateway", "name": "m", "uid": "0", "controller": true,
            }],
            "managedFields": [{"manager": "us", "operation": "Apply", "fieldsV1": {"f:data": {}}}],
        });
        for (name, value) in changes.as_object().unwrap() {
            whole[name] = value.clone();
        }
        Meta::new(&serde_json::from_value(whole).unwrap())
    }

    #[test]
    fn a_status_leaves_the_fingerprint_and_all_else_changes_it() {
        let ours = json!({"manager": "us", "operation": "Apply", "fieldsV1": {"f:data": {}}});
        let before = meta(&json!({})).fingerprint;
        let status = json!({"manager": "x", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}});
        let edit = json!({"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {}}});
        assert_eq!(
            meta(&json!({"resourceVersion": "8", "managedFields": [ours, status]})).fingerprint,
            before
        );
        for changed in [
            json!({"uid": "2"}),
            json!({"generation": 2}),
            json!({"managedFields": [ours, edit]}),
            json!({"managedFields": []}),
        ] {
            assert_ne!(meta(&changed).fingerprint, before, "{changed}");
        }
    }

    #[test]
    fn what_is_ours_is_told_from_what_others_write_beside_it() {
        let entry = |manager: &str, fields: Value| json!({"manager": manager, "operation": "Apply", "fieldsV1": fields});
        let of = |entries: &[Value]| meta(&json!({"managedFields": entries})).ours;
        let whole = entry(names::FIELD_MANAGER, json!({"f:spec": {"f:ports": {}, "f:type": {}}}));
        let beside = entry("kubectl", json!({"f:spec": {"f:externalIPs": {}}}));
        let taken = entry(names::FIELD_MANAGER, json!({"f:spec": {"f:ports": {}}}));
        assert_eq!(of(&[whole.clone(), beside]), of(std::slice::from_ref(&whole)));
        assert_ne!(of(&[taken]), of(&[whole]));
    }

    #[test]
    fn what_holds_a_child_is_kept_while_it_goes_away() {
        assert_eq!(meta(&json!({"finalizers": ["a/b"]})).finalizers, Vec::<String>::new());
        let going = json!({"finalizers": ["a/b"], "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert_eq!(meta(&going).finalizers, ["a/b"]);
    }

    #[test]
    fn a_child_that_lost_its_owner_is_known_by_its_labels_and_by_who_applied_it() {
        let by = |manager: &str| json!([{"manager": manager, "operation": "Apply", "fieldsV1": {}}]);
        let lost = |manager| meta(&json!({"ownerReferences": [], "managedFields": by(manager)}));
        assert!(lost(names::FIELD_MANAGER).is_left_behind("m"));
        assert!(!lost(names::FIELD_MANAGER).is_left_behind("n"), "of another gateway");
        assert!(!lost("kubectl").is_left_behind("m"), "somebody else has labelled it so");
        let owned = meta(&json!({"managedFields": by(names::FIELD_MANAGER)}));
        assert!(!owned.is_left_behind("m"), "it has an owner");
    }

    #[test]
    fn a_child_concerns_its_owner_and_whom_its_labels_name() {
        assert_eq!(meta(&json!({})).gateways("prices"), [Key::new("prices", "m")]);
        let labelled = meta(&json!({"labels": {"app.kubernetes.io/instance": "n"}}));
        assert_eq!(labelled.gateways("prices"), [Key::new("prices", "m"), Key::new("prices", "n")]);
        assert!(labelled.is_owned_by("0") && !labelled.is_owned_by("1"));
    }
}
