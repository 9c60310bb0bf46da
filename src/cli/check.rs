//! `topic-gateway check`.

use std::fmt::Write;

use super::{
    Failure,
    controller::{PodArgs, traced},
    manifest, print,
};
use crate::{
    api::{Manifests, SecretReference, Secrets, TopicGateway},
    controller::{Assumed, Planned, preview},
    gateway::examine::examine,
};

/// Say whether a resource is valid, by the rules a cluster has, and what the controller would make of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file may hold several documents: the TopicGateway and the Secrets it refers to.
Files given together are read as one; they hold one TopicGateway. Secrets that are in none of them are noted: a cluster
would take the resource without them, and have its condition ResolvedRefs wait for them.

Examples:
  topic-gateway check -f gateway.yaml
  topic-gateway check -f gateway.yaml --output yaml
  topic-gateway check -f gateway.yaml -f secrets.yaml
  helm template charts/my-app | topic-gateway check -f -

With `--output yaml` the objects are those of a cluster that has every optional kind (HTTPRoute, PodMonitor,
PrometheusRule) and a controller with the options above, without owner references and with another text in place of
each value of a Secret.

Exit codes: 0 valid, 64 not valid; each finding is FILE:LINE: FIELD: WHAT IS WRONG; WHAT TO DO")]
pub(super) struct Args {
    /// A file to read, `-` for standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<String>,
    /// What to print of a valid resource
    #[arg(short, long, value_enum, default_value_t = Output::Summary)]
    output: Output,
    /// What the controller is started with.
    #[command(flatten)]
    pods: PodArgs,
    /// Namespace of the controller, which a NetworkPolicy lets in
    #[arg(long, value_name = "NAMESPACE", default_value = "topic-gateway")]
    controller_namespace: String,
}

/// What to print of a valid resource.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// That it is valid, and what the controller would make of it, by name
    Summary,
    /// The names alone, one a line
    Names,
    /// The objects that the controller would apply
    Yaml,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let manifests = manifest::load_for_a_cluster(&args.files)?;
    let Manifests { gateway, secrets, .. } = &manifests;
    examine(&gateway.spec.without_secrets(|name| !secrets.has(name)), secrets)
        .map_err(|unfit| Failure::usage(unfit.to_string()))?;
    let PodArgs { image, image_pull_policy: pull_policy, runbook_url } = args.pods.clone();
    let (environment, namespace) = (traced(), args.controller_namespace.clone());
    let assumed = Assumed { image, pull_policy, environment, runbook_url, namespace };
    let planned = preview(gateway, &completed(gateway, secrets), assumed).map_err(Failure::usage)?;
    match args.output {
        Output::Summary => {
            let names = names(&planned).join(", ");
            print(&format!("{}in a cluster: {names}\n", report(&args.files, &manifests)))
        }
        Output::Names => print(&(names(&planned).join("\n") + "\n")),
        Output::Yaml => print(&yaml(&planned)?),
    }
}

/// With a value for every key that is referred to: which one, nobody is shown.
fn completed(gateway: &TopicGateway, secrets: &Secrets) -> Secrets {
    let mut all = secrets.clone();
    for SecretReference { key, .. } in gateway.spec.secret_references() {
        if !secrets.has(&key.name) {
            all.insert(&key.name, &key.key, Vec::new());
        }
    }
    all
}

/// The objects that the controller would make.
fn names(planned: &[Planned]) -> Vec<String> {
    planned.iter().map(|Planned { kind, name, .. }| format!("{kind}/{name}")).collect()
}

/// A document for each object.
fn yaml(planned: &[Planned]) -> Result<String, Failure> {
    let documents = planned.iter().map(|planned| serde_saphyr::to_string(&planned.object));
    let documents: Result<Vec<_>, _> = documents.collect();
    Ok(documents.map_err(|error| Failure::internal(error.to_string()))?.join("---\n"))
}

/// A line for the files and one for each note.
fn report(files: &[String], manifests: &Manifests) -> String {
    let metadata = &manifests.gateway.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let backbone = match &manifests.gateway.spec.backbone.nats {
        Some(nats) => format!("NATS at {}", nats.servers.join(", ")),
        None => "topics in memory".into(),
    };
    let place = metadata.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let names: Vec<&str> = files.iter().map(|file| manifest::name(file)).collect();
    let mut text = format!("{}: valid, TopicGateway {place}{name}, {backbone}\n", names.join(", "));
    for note in &manifests.notes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "note: {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_valid_file_is_summed_up_with_its_notes() {
        let text = "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata: {name: m, namespace: prices}\n\
            spec: {backbone: {nats: {servers: [nats://a, nats://b]}}}\n";
        let manifests = Manifests::parse(&[("a.yaml".into(), text.into())]).unwrap();
        assert_eq!(
            report(&["a.yaml".into()], &manifests),
            "a.yaml: valid, TopicGateway prices/m, NATS at nats://a, nats://b\n\
             note: a.yaml:4: spec.authentication: nobody can connect; add an issuer to jwt, or set anonymous: Allow\n"
        );
    }

    #[test]
    fn what_the_controller_would_make_does_not_wait_for_secrets() {
        let text = "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata: {name: m}\n\
            spec: {backbone: {memory: {}}, listeners: {tls: {secretRef: {name: t}}}}\n";
        let manifests = Manifests::parse_for_a_cluster(&[("a.yaml".into(), text.into())]).unwrap();
        let secrets = completed(&manifests.gateway, &manifests.secrets);
        let image = Assumed {
            image: "i".into(),
            pull_policy: crate::api::ImagePullPolicy::Always,
            environment: BTreeMap::new(),
            runbook_url: String::new(),
            namespace: "n".into(),
        };
        let planned = preview(&manifests.gateway, &secrets, image).unwrap();
        assert!(names(&planned).contains(&"Deployment/m".to_owned()), "{:?}", names(&planned));
    }

    #[test]
    fn the_built_in_resource_has_its_topics_in_memory() {
        let manifests = crate::api::builtin().unwrap();
        assert_eq!(
            report(&["-".into()], &manifests),
            "standard input: valid, TopicGateway dev, topics in memory\n"
        );
    }
}
