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
    observed::{Leaving, Problem},
    pods,
    prune::prune,
    reason::Reason,
    streams, validate,
};

/// What a resource wants.
enum Wanted {
    /// All of this and nothing else.
    Whole(Vec<Child>),
    /// Something that is not to be had yet.
    Held {
        /// What is wrong with its references.
        references: Vec<Problem>,
        /// What is wrong with itself.
        applying: Vec<Problem>,
        /// What could be made all the same.
        rest: Vec<Child>,
    },
}

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
            Wanted::Whole(wanted) => wanted,
            Wanted::Held { references, applying, rest } => {
                self.hold(sources, references, applying, rest).await?;
                return Ok(None);
            }
        };
        let (mut problems, changed) = self.apply_all(&wanted).await?;
        let is_wanted =
            |kind: Kind, name: &str| wanted.iter().any(|child| child.kind == kind && child.name == name);
        let (owner, shared) = (Owner { key: self.key, uid: self.uid }, self.shared);
        problems.extend(prune(shared, owner, self.memory, is_wanted).await?);
        if problems.is_empty() && self.leaving.is_empty() {
            self.memory.made_from = Some(sources);
        }
        self.memory.held = 0;
        self.note_problems(Vec::new(), problems);
        Ok(changed)
    }

    /// Leaves what runs as it is, but for what can be put right with what is in the cluster.
    async fn hold(
        &mut self,
        sources: Sources,
        references: Vec<Problem>,
        mut applying: Vec<Problem>,
        rest: Vec<Child>,
    ) -> Result<(), Error> {
        let rest = self.to_restore(rest);
        applying.extend(self.apply_all(&rest).await?.0);
        self.note_problems(references, applying);
        if self.problems().all(is_of_sources) && self.leaving.is_empty() {
            self.memory.made_from = Some(sources);
        }
        self.memory.held = apply::unapplied(self.shared, self.owner(), self.memory);
        Ok(())
    }

    /// While a reference is bad: what is to be as it was when last everything was applied, and what clients need and is
    /// gone. The configuration and the copy of the Secrets stay as they are; without them no pod starts. What the spec
    /// has changed since waits until it can be applied as a whole.
    fn to_restore(&self, children: Vec<Child>) -> Vec<Child> {
        let (cached, name) = (self.shared.caches.lock(), &self.key.name);
        let found = |kind, name: &str| cached.child(kind, &self.key.namespace, name);
        let mounted = [(Kind::ConfigMap, names::config_map(name)), (Kind::Secret, names::secrets(name))];
        let can_start =
            mounted.iter().all(|(kind, name)| found(*kind, name).is_some_and(|it| it.is_owned_by(self.uid)));
        let is_to_be = |child: &Child| {
            let applied = self.memory.applied.get(&(child.kind, child.name.clone()));
            let as_before = applied.is_some_and(|it| it.once || it.intent == apply::intent(child));
            let gone = child.kind.serves() && found(child.kind, &child.name).is_none();
            can_start && !self.is_mounted(child) && (as_before || gone)
        };
        children.into_iter().filter(is_to_be).collect()
    }

    /// Whether nothing is left of the last pass, and nobody has touched the children since.
    fn is_settled(&self) -> bool {
        // With a spec that cannot be applied, what runs is left as it is.
        !self.memory.applying.is_empty() || apply::is_undisturbed(self.shared, self.owner(), self.memory)
    }

    /// The children that the resource wants, as far as they can be made.
    async fn wanted(&mut self, sources: &Sources) -> Result<Wanted, Error> {
        let of_spec = |applying| Wanted::Held { references: Vec::new(), applying, rest: Vec::new() };
        let problems = validate::validate(self.gateway);
        if !problems.is_empty() {
            return Ok(of_spec(problems));
        }
        let (secrets, references) = match self.resolve(sources).await? {
            Resolved::Well(secrets) => (Some(secrets), Vec::new()),
            Resolved::References(problems) => (None, problems),
            Resolved::Spec(problem) => return Ok(of_spec(vec![problem])),
        };
        if let Some(secrets) = &secrets {
            streams::follow(self.shared, self.key, &self.gateway.spec, secrets, &mut self.memory.stream);
        }
        let inputs = build::Inputs {
            gateway: self.gateway,
            secrets: secrets.as_ref(),
            defaults: &self.shared.defaults,
            optional: &sources.optional,
            session_key: &SessionKey(rand::random()),
        };
        Ok(match build::children(&inputs) {
            Ok(children) if secrets.is_some() => Wanted::Whole(children),
            Ok(rest) => Wanted::Held { references, applying: Vec::new(), rest },
            Err(problem) => of_spec(vec![problem]),
        })
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
                Outcome::Pending(message) => {
                    self.leaving.push(Leaving { serves: child.kind.serves(), message });
                }
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
