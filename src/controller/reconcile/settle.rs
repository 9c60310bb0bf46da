//! Makes the children as the spec says: resolve, validate, build, apply, prune.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Error, Pass, resolve::Resolved};
use crate::controller::{
    apply::{self, Outcome, Owner, apply},
    build::{self, Child, SessionKey},
    events::Note,
    kind::Kind,
    memory::Sources,
    names,
    observed::Problem,
    pods,
    prune::prune,
    reason::Reason,
    validate,
};

impl Pass<'_> {
    /// Makes the children as they should be. Where the configuration or the Secrets of running pods have changed, what
    /// stands for their content.
    pub(super) async fn settle(&mut self) -> Result<Option<u64>, Error> {
        let sources = self.sources();
        if self.memory.made_from.as_ref() == Some(&sources) && self.is_settled() {
            return Ok(None);
        }
        // Whatever ends this pass early, the next one looks at everything.
        self.memory.made_from = None;
        let wanted = match self.wanted(&sources).await? {
            Ok(wanted) => wanted,
            Err((references, applying)) => {
                self.note_problems(references, applying);
                if self.problems().all(is_of_sources) {
                    self.memory.made_from = Some(sources);
                }
                return Ok(None);
            }
        };
        let (mut problems, changed) = self.apply_all(&wanted).await?;
        let is_wanted =
            |kind: Kind, name: &str| wanted.iter().any(|child| child.kind == kind && child.name == name);
        let (owner, shared) = (Owner { key: self.key, uid: self.uid }, self.shared);
        problems.extend(prune(shared, owner, self.memory, is_wanted).await?);
        if problems.is_empty() && !self.pending {
            self.memory.made_from = Some(sources);
        }
        self.note_problems(Vec::new(), problems);
        Ok(changed)
    }

    /// Whether nothing is left of the last pass, and nobody has touched the children since.
    fn is_settled(&self) -> bool {
        // While references are bad, what runs is left as it is.
        let waits = !self.memory.references.is_empty() || !self.memory.applying.is_empty();
        waits || apply::is_undisturbed(self.shared, self.owner(), self.memory)
    }

    /// The children that the resource wants, or what is wrong with its references and with itself.
    async fn wanted(
        &self,
        sources: &Sources,
    ) -> Result<Result<Vec<Child>, (Vec<Problem>, Vec<Problem>)>, Error> {
        let problems = validate::validate(self.gateway);
        if !problems.is_empty() {
            return Ok(Err((Vec::new(), problems)));
        }
        let secrets = match self.resolve(sources).await? {
            Resolved::Well(secrets) => secrets,
            Resolved::References(problems) => return Ok(Err((problems, Vec::new()))),
            Resolved::Spec(problem) => return Ok(Err((Vec::new(), vec![problem]))),
        };
        let inputs = build::Inputs {
            gateway: self.gateway,
            secrets: &secrets,
            defaults: &self.shared.defaults,
            optional: &sources.optional,
            session_key: &SessionKey(rand::random()),
        };
        Ok(build::children(&inputs).map_err(|problem| (Vec::new(), vec![problem])))
    }

    /// Applies in order. What pods cannot start without is awaited; everything else is applied whatever became of the
    /// others.
    async fn apply_all(&mut self, wanted: &[Child]) -> Result<(Vec<Problem>, Option<u64>), Error> {
        let (mut problems, mut changed) = (Vec::new(), None);
        for child in wanted {
            let lacks = |kind: Kind| kind <= Kind::ConfigMap && kind < child.kind;
            if problems.iter().any(|(kind, _)| lacks(*kind)) {
                break;
            }
            if child.kind == Kind::Deployment {
                self.prepare_for_fewer(child).await;
            }
            let owner = Owner { key: self.key, uid: self.uid };
            let new = !self.memory.applied.contains_key(&(child.kind, child.name.clone()));
            match apply(self.shared, owner, child, self.memory).await? {
                Outcome::Unchanged => continue,
                Outcome::Done => {}
                Outcome::Corrected(text) => self.publish(Note::corrected(text)).await,
                Outcome::Refused(problem) => problems.push((child.kind, problem)),
                Outcome::Pending => self.pending = true,
            }
            if self.is_mounted(child) && !new {
                changed = Some(content(wanted, |child| self.is_mounted(child)));
            }
        }
        Ok((problems.into_iter().map(|(_, problem)| problem).collect(), changed))
    }

    /// Whether pods read it while they run.
    fn is_mounted(&self, child: &Child) -> bool {
        let name = &self.key.name;
        child.name == names::config_map(name) || child.name == names::secrets(name)
    }

    /// Before there are to be fewer pods, says which go first.
    async fn prepare_for_fewer(&mut self, deployment: &Child) {
        let wanted = deployment.object["spec"]["replicas"].as_i64();
        let (has, pods) = {
            let cached = self.shared.caches.lock();
            (cached.workloads.get(self.key).map(|it| i64::from(it.replicas)), cached.pods_of(self.key))
        };
        if wanted.zip(has).is_some_and(|(wanted, has)| 0 < wanted && wanted < has) {
            pods::weigh(self.shared, self.key, &mut self.memory.pods, &pods).await;
        }
    }

    fn note_problems(&mut self, references: Vec<Problem>, applying: Vec<Problem>) {
        for problem in references.iter().chain(&applying) {
            self.shared.metrics.problem(problem.reason);
        }
        self.memory.references = references;
        self.memory.applying = applying;
    }
}

/// Whether a problem stays as it is until what children are made from changes.
fn is_of_sources(reason: Reason) -> bool {
    use Reason::{InvalidCertificate, InvalidKey, InvalidSpec, KeyMissing, SecretNotFound};
    matches!(reason, SecretNotFound | KeyMissing | InvalidKey | InvalidCertificate | InvalidSpec)
}

/// A number that stands for the content of these children.
fn content(children: &[Child], of: impl Fn(&Child) -> bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    for child in children.iter().filter(|child| of(child)) {
        apply::intent(child).hash(&mut hasher);
    }
    hasher.finish()
}
