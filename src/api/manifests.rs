//! The documents one would `kubectl apply`: the `TopicGateway` and the Secrets it refers to.

mod secret;

use super::{
    SecretError, Secrets, TopicGateway,
    envelope::{API_VERSION, CONFIG_KIND, GATEWAY_KIND, gateway_schema},
    validate::{
        Checked, Finding, Findings, Node, Prepared, Report, Unknown, check_contradictions, cluster_note,
        dangling, did_you_mean, documents, notes,
    },
};

/// One `TopicGateway`, valid, with everything it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifests {
    /// The resource, with its defaults.
    pub gateway: TopicGateway,
    /// The Secrets of its namespace.
    pub secrets: Secrets,
    /// What is valid but not used here or hardly meant, one sentence each, with file and line.
    pub notes: Vec<String>,
}

/// The resource of `topic-gateway dev` without a file: memory backbone, and everybody from this host may do all.
///
/// # Errors
/// None in practice: the text is part of the program and tested; it takes the way of every other file.
pub fn builtin() -> Result<Manifests, Findings> {
    Manifests::parse(&[("built-in".into(), include_str!("builtin.yaml").into())])
}

impl Manifests {
    /// Reads files given as name and text: together they hold one `TopicGateway` and every Secret it refers to.
    /// Documents of other kinds are noted and left aside.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    ///
    /// ```
    /// use topic_gateway::api::Manifests;
    /// let text = "{apiVersion: topicgateway.io/v1alpha1, kind: TopicGateway, metadata: {name: a}, spec: {backbone: {}}}";
    /// let findings = Manifests::parse(&[("a.yaml".into(), text.into())]).unwrap_err();
    /// assert!(findings.to_string().starts_with("a.yaml:1: spec.backbone: needs exactly one of memory and nats"));
    /// ```
    pub fn parse(files: &[(String, String)]) -> Result<Self, Findings> {
        Self::read(files, Place::Here)
    }

    /// The same for a cluster, which may have Secrets that are not among the files: they are noted. What means something
    /// in a cluster only is not.
    ///
    /// # Errors
    /// Everything else that is wrong with the files.
    pub fn parse_for_a_cluster(files: &[(String, String)]) -> Result<Self, Findings> {
        Self::read(files, Place::Cluster)
    }

    fn read(files: &[(String, String)], place: Place) -> Result<Self, Findings> {
        let mut reading = Reading::default();
        for (file, text) in files {
            let (nodes, wrong) = documents(text);
            for (line, message) in &wrong {
                reading.report.add(file, *line, "", message.as_str());
            }
            for node in &nodes {
                reading.document(file, node);
            }
            reading.broken |= !wrong.is_empty();
        }
        let first = files.first().map_or("no file", |(file, _)| file.as_str());
        reading.finish(first, place)
    }
}

/// Where the resource is to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// By this process, with what the files hold.
    Here,
    /// In a cluster, which may hold more.
    Cluster,
}

/// Documents read so far; bounded by the size of the files.
#[derive(Default)]
struct Reading {
    report: Report,
    gateway: Option<Gateway>,
    secrets: Vec<secret::Secret>,
    notes: Vec<String>,
    /// Some document could not be read: it may be the one that is missing.
    broken: bool,
}

struct Gateway {
    file: String,
    checked: Checked,
    /// `None` where it is wrong.
    resource: Option<TopicGateway>,
}

impl Reading {
    fn document(&mut self, file: &str, node: &Node) {
        let (Some(version), Some(kind)) = (node.text("apiVersion"), node.text("kind")) else {
            self.broken = true;
            let message = "is no Kubernetes object; give it apiVersion and kind, each a text";
            return self.report.add(file, node.line, "", message);
        };
        match (version, kind) {
            (API_VERSION, GATEWAY_KIND) => self.gateway(file, node),
            ("v1", "Secret") => self.secrets.extend(secret::Secret::read(file, node, &mut self.report)),
            (version, kind) if kind == GATEWAY_KIND || version.starts_with("topicgateway.io/") => {
                self.broken = true;
                let line = |name: &str| node.get(name).map_or(node.line, |node| node.line);
                if version != API_VERSION {
                    let message = format!("{version:?} is not known; write {API_VERSION}");
                    self.report.add(file, line("apiVersion"), "apiVersion", message);
                } else if kind == CONFIG_KIND {
                    let message =
                        "a GatewayConfig is for `topic-gateway gateway --config`; give a TopicGateway here";
                    self.report.add(file, line("kind"), "kind", message);
                } else {
                    let advice = did_you_mean(kind, [GATEWAY_KIND]).map_or("write", |_| "did you mean");
                    let end = if advice == "write" { "" } else { "?" };
                    let message = format!("{kind:?} is not known; {advice} {GATEWAY_KIND}{end}");
                    self.report.add(file, line("kind"), "kind", message);
                }
            }
            (_, kind) => {
                let name =
                    node.get("metadata").and_then(|metadata| metadata.text("name")).unwrap_or_default();
                self.notes.push(format!("{file}:{}: {kind} {name:?} is not used here", node.line));
            }
        }
    }

    fn gateway(&mut self, file: &str, node: &Node) {
        if let Some(first) = &self.gateway {
            let message = format!(
                "is a second TopicGateway, the first is at {}:{}; give one at a time",
                first.file,
                first.checked.line("")
            );
            return self.report.add(file, node.line, "", message);
        }
        let checked =
            Checked::new(&Prepared::new(gateway_schema(), Unknown::Refused), node, file, &mut self.report);
        let resource: Option<TopicGateway> = checked.read(file, &mut self.report);
        self.gateway = Some(Gateway { file: file.into(), checked, resource });
    }

    fn finish(mut self, first_file: &str, place: Place) -> Result<Manifests, Findings> {
        let Some(Gateway { file, checked, resource }) = self.gateway else {
            if !self.broken {
                let message = format!(
                    "there is no TopicGateway; add a document with apiVersion: {API_VERSION} and kind: {GATEWAY_KIND}"
                );
                self.report.add(first_file, 1, "", message);
            }
            return self.report.finish(None);
        };
        let Some(gateway) = resource else { return self.report.finish(None) };
        let secrets = secret::collect(self.secrets, &gateway, &mut self.report);
        let mut noted = notes(&gateway.spec);
        // Where a document could not be read, it may be the Secret.
        let dangling = if self.broken { Vec::new() } else { dangling(&gateway.spec, &secrets) };
        for (field, error) in dangling {
            match error {
                SecretError::NoSecret(name) if place == Place::Cluster => {
                    noted.push((field, not_here(&name)));
                }
                error => self.report.add(&file, checked.line(&field), &field, error.to_string()),
            }
        }
        check_contradictions(&gateway.spec, &checked, &file, &mut self.report);
        let mut remarks = self.notes;
        remarks.extend(noted.into_iter().map(|(field, message)| {
            Finding { file: file.clone(), line: checked.line(&field), field, message }.to_string()
        }));
        if place == Place::Here
            && let Some((field, message)) = cluster_note(&checked)
        {
            remarks.push(format!("{file}:{}: {message}", checked.line(&field)));
        }
        self.report.finish(Some(Manifests { gateway, secrets, notes: remarks }))
    }
}

fn not_here(secret: &str) -> String {
    format!("Secret {secret:?} is not in these files, and was not looked into; a cluster must have it")
}

#[cfg(test)]
mod tests;
