//! What a schema cannot say: references that lead nowhere, patterns that never match.

use super::finding::Report;
use crate::api::{
    Anonymous, Pattern, SecretError, SecretKeyRef, SecretRef, Secrets, TopicGatewaySpec,
    validate::schema::Checked,
};

/// One key of a Secret that the resource needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    /// The field that refers to it, as `spec.authentication.jwt[0].secretRef`.
    pub field: String,
    /// The Secret and the key.
    pub key: SecretKeyRef,
}

impl TopicGatewaySpec {
    /// Every key of every Secret the resource refers to, in the order of its fields.
    pub fn secret_references(&self) -> Vec<SecretReference> {
        let mut found = Vec::new();
        if let Some(nats) = &self.backbone.nats {
            let field = |name: &str| format!("spec.backbone.nats.{name}");
            one(&mut found, field("credentialsSecretRef"), nats.credentials_secret_ref.as_ref());
            one(&mut found, field("nkeySecretRef"), nats.nkey_secret_ref.as_ref());
            one(&mut found, field("tokenSecretRef"), nats.token_secret_ref.as_ref());
            let login = nats.user_password_secret_ref.as_ref();
            whole(&mut found, &field("userPasswordSecretRef"), login, ["username", "password"]);
            if let Some(tls) = &nats.tls {
                let own = tls.client_certificate_secret_ref.as_ref();
                one(&mut found, field("tls.caSecretRef"), tls.ca_secret_ref.as_ref());
                whole(&mut found, &field("tls.clientCertificateSecretRef"), own, ["tls.crt", "tls.key"]);
            }
        }
        let tls = self.listeners.tls.as_ref().map(|tls| &tls.secret_ref);
        whole(&mut found, "spec.listeners.tls.secretRef", tls, ["tls.crt", "tls.key"]);
        for (n, issuer) in self.authentication.jwt.iter().enumerate() {
            let field = |name: &str| format!("spec.authentication.jwt[{n}].{name}");
            one(&mut found, field("jwksSecretRef"), issuer.jwks_secret_ref.as_ref());
            one(&mut found, field("publicKeySecretRef"), issuer.public_key_secret_ref.as_ref());
            one(&mut found, field("secretRef"), issuer.secret_ref.as_ref());
        }
        found
    }

    /// The same without what refers to a Secret of such a name, so that the rest can be judged.
    #[must_use]
    pub fn without_secrets(&self, absent: impl Fn(&str) -> bool) -> Self {
        let mut spec = self.clone();
        let key = |reference: &mut SecretKeyRef| absent(&reference.name);
        let whole = |reference: &mut SecretRef| absent(&reference.name);
        spec.authentication.jwt.retain(|issuer| {
            let references = [&issuer.jwks_secret_ref, &issuer.public_key_secret_ref, &issuer.secret_ref];
            !references.into_iter().flatten().any(|reference| absent(&reference.name))
        });
        spec.listeners.tls.take_if(|tls| absent(&tls.secret_ref.name));
        if let Some(nats) = &mut spec.backbone.nats {
            nats.credentials_secret_ref.take_if(key);
            nats.nkey_secret_ref.take_if(key);
            nats.token_secret_ref.take_if(key);
            nats.user_password_secret_ref.take_if(whole);
            if let Some(tls) = &mut nats.tls {
                tls.ca_secret_ref.take_if(key);
                tls.client_certificate_secret_ref.take_if(whole);
            }
        }
        spec
    }

    /// What contradicts itself, field and message: subjects that hold nothing below the prefix and could never become a
    /// topic, a stream that forgets too early.
    pub fn contradictions(&self) -> Vec<(String, String)> {
        let Some(nats) = &self.backbone.nats else { return Vec::new() };
        let prefix = nats.subject_prefix.trim_end_matches('.');
        let outside = nats.subjects.iter().enumerate().filter(|(_, subject)| subject.below(prefix).is_none());
        let told = outside.map(|(n, subject)| {
            let message = format!(
                "{:?} has no topic below subjectPrefix {prefix:?}; write the whole subject, as \"{prefix}.>\"",
                subject.as_str()
            );
            (format!("spec.backbone.nats.subjects[{n}]"), message)
        });
        let early = nats.jet_stream.as_ref().filter(|stream| stream.forgets_too_early());
        let early = early.map(|_| ("spec.backbone.nats.jetStream".into(), FORGETS_TOO_EARLY.into()));
        told.chain(early).collect()
    }
}

const FORGETS_TOO_EARLY: &str =
    "duplicateWindowSeconds is longer than maxAge, messages would be gone before; lower it, or raise maxAge";

fn one(found: &mut Vec<SecretReference>, field: String, reference: Option<&SecretKeyRef>) {
    found.extend(reference.map(|key| SecretReference { field, key: key.clone() }));
}

fn whole(found: &mut Vec<SecretReference>, field: &str, reference: Option<&SecretRef>, keys: [&str; 2]) {
    for key in keys {
        let key = reference.map(|secret| SecretKeyRef { name: secret.name.clone(), key: key.into() });
        one(found, field.into(), key.as_ref());
    }
}

/// References that do not lead to a key of a Secret that is there, with the field that has them: each once.
pub(in crate::api) fn dangling(spec: &TopicGatewaySpec, secrets: &Secrets) -> Vec<(String, SecretError)> {
    let references = spec.secret_references().into_iter();
    let mut found: Vec<_> = references
        .filter_map(|reference| Some((reference.field, secrets.key(&reference.key).err()?)))
        .collect();
    found.dedup();
    found
}

/// Nothing may contradict itself.
pub(in crate::api) fn check_contradictions(
    spec: &TopicGatewaySpec,
    checked: &Checked,
    file: &str,
    report: &mut Report,
) {
    for (field, message) in spec.contradictions() {
        report.add(file, checked.line(&field), &field, message);
    }
}

/// Fields that only mean something in a cluster.
const FOR_A_CLUSTER: [&str; 13] = [
    "spec.replicas",
    "spec.paused",
    "spec.drain.preStopSeconds",
    "spec.slo",
    "spec.autoscaling",
    "spec.service",
    "spec.route",
    "spec.ingress",
    "spec.monitoring",
    "spec.disruption",
    "spec.networkPolicy",
    "spec.pod",
    "status",
];

/// The fields the file has that only mean something in a cluster: the first one and a remark on all.
pub(in crate::api) fn cluster_note(checked: &Checked) -> Option<(String, String)> {
    let given: Vec<&str> = FOR_A_CLUSTER.into_iter().filter(|field| checked.has(field)).collect();
    let verb = if given.len() == 1 { "means" } else { "mean" };
    let first = (*given.first()?).to_owned();
    Some((first, format!("{} {verb} something in a cluster only, not used here", given.join(", "))))
}

/// What is valid but hardly meant: field and remark.
pub(in crate::api) fn notes(spec: &TopicGatewaySpec) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut note = |field: String, message: &str| found.push((field, message.to_string()));
    let anonymous = spec.authentication.anonymous == Anonymous::Allow;
    if spec.authentication.jwt.is_empty() && !anonymous {
        note(
            "spec.authentication".into(),
            "nobody can connect; add an issuer to jwt, or set anonymous: Allow",
        );
    } else if spec.authentication.jwt.is_empty() && spec.authorization.is_empty() {
        note("spec.authorization".into(), "nobody may subscribe or publish; add a rule");
    }
    for (n, rule) in spec.topics.iter().enumerate() {
        if spec.topics[..n].iter().any(|earlier| earlier.pattern.covers(&rule.pattern)) {
            note(format!("spec.topics[{n}]"), "is never reached, an earlier pattern covers it; move it up");
        }
    }
    if let Some(nats) = &spec.backbone.nats {
        let prefix = nats.subject_prefix.trim_end_matches('.');
        let offered: Vec<Pattern> =
            nats.subjects.iter().filter_map(|subject| subject.below(prefix)).collect();
        for (n, rule) in spec.authorization.iter().enumerate() {
            for (name, granted) in [("subscribe", &rule.subscribe), ("publish", &rule.publish)] {
                for (m, pattern) in granted.iter().enumerate() {
                    if !offered.iter().any(|offer| offer.overlaps(pattern)) {
                        let field = format!("spec.authorization[{n}].{name}[{m}]");
                        note(
                            field,
                            "reaches nothing, backbone.nats.subjects offers no such topic; add it there",
                        );
                    }
                }
            }
        }
    }
    found
}
