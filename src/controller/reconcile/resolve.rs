//! Reads what the resource refers to, and judges it as a gateway would.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::Pass;
use crate::{
    api::Secrets,
    controller::{
        memory::Sources,
        observed::Problem,
        reason::Reason,
        references,
        refusal::{Refusal, cause, refusal},
        settings::Fault,
    },
};

/// Why a Secret could not be read for the time being.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {}", cause(source))]
pub(crate) struct Error {
    action: String,
    source: kube::Error,
}

/// What came of looking the references up.
pub(super) enum Resolved {
    /// Everything is there.
    Well(Secrets),
    /// Something is missing or unfit.
    References(Vec<Problem>),
    /// The spec itself is.
    Spec(Problem),
}

impl Pass<'_> {
    /// What children are made from, by version.
    pub(super) fn sources(&self) -> Sources {
        let cached = self.shared.caches.lock();
        let wanted = references::wanted(&self.gateway.spec).into_iter();
        let secrets = wanted.map(|name| {
            let version = cached.secrets.version(&self.key.sibling(&name));
            (name, version)
        });
        Sources {
            uid: self.uid.to_owned(),
            generation: self.generation,
            secrets: secrets.collect(),
            optional: self.shared.apis.available(),
        }
    }

    /// Reads the Secrets that are there and judges them.
    pub(super) async fn resolve(&self, sources: &Sources) -> Result<Resolved, Error> {
        let namespace = &self.key.namespace;
        let api: Api<Secret> = Api::namespaced(self.shared.client.clone(), namespace);
        let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
        for name in sources.secrets.iter().filter_map(|(name, version)| version.map(|_| name)) {
            let action = format!("read Secret {namespace}/{name}");
            match api.get(name).await.map_err(|error| refusal(&action, error)) {
                Ok(secret) => {
                    found.insert(name.clone(), secret);
                }
                Err(Refusal::Gone) => {}
                Err(Refusal::Problem(problem)) => problems.push(problem),
                Err(Refusal::Passing(source)) => return Err(Error { action, source }),
            }
        }
        if !problems.is_empty() {
            return Ok(Resolved::References(problems));
        }
        let secrets = match references::resolve(namespace, &self.gateway.spec, &found) {
            Ok(secrets) => secrets,
            Err(problems) => return Ok(Resolved::References(problems)),
        };
        Ok(match (self.shared.settings.examine.0)(&self.gateway.spec, &secrets) {
            Ok(()) => Resolved::Well(secrets),
            Err(unfit) => {
                let reason = match unfit.fault {
                    Fault::Key => Reason::InvalidKey,
                    Fault::Certificate => Reason::InvalidCertificate,
                    Fault::Spec => Reason::InvalidSpec,
                };
                let problem = Problem { reason, message: unfit.message };
                if reason == Reason::InvalidSpec {
                    Resolved::Spec(problem)
                } else {
                    Resolved::References(vec![problem])
                }
            }
        })
    }
}
