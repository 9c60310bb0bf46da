//! The real binary as a pod runs it: a configuration and Secrets in volumes, which change while it runs.

use std::{
    collections::BTreeSet,
    fs,
    ops::{Deref, DerefMut},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    Gateway, Resource,
    gateway::{command, command_on},
    wait_until,
};

/// A running `topic-gateway gateway`.
pub(crate) struct Configured {
    gateway: Gateway,
    config: Volume,
    secrets: Volume,
    generation: i32,
}

/// A folder that changes as the kubelet changes one: files are links through `..data`, which is swapped at once.
struct Volume {
    folder: PathBuf,
    version: u32,
}

const ARGUMENTS: [&str; 5] = ["gateway", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

impl Configured {
    /// Serves a resource, generation 1, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(resource: &Resource) -> Self {
        Self::by(command(ARGUMENTS), resource)
    }

    /// The same on one core, where a gateway has a single shard beside its backbone, or on all.
    #[track_caller]
    pub(crate) fn start_on(one_core: bool, resource: &Resource) -> Self {
        Self::by(command_on(one_core, ARGUMENTS), resource)
    }

    #[track_caller]
    fn by(mut command: Command, resource: &Resource) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = Volume::new(&directory.path().join("config"));
        let mut secrets = Volume::new(&directory.path().join("secrets"));
        secrets.write(&resource.secret_files());
        config.write(&[file(resource, 1, &secrets)]);
        command.arg("--config").arg(config.folder.join("config.json"));
        let gateway = Gateway::from(&mut command, directory);
        Self { gateway, config, secrets, generation: 1 }
    }

    /// Changes the Secrets alone, and does not wait.
    pub(crate) fn rotate(&mut self, resource: &Resource) {
        self.secrets.write(&resource.secret_files());
    }

    /// Changes the configuration alone, and does not wait. Gives its generation.
    pub(crate) fn edit(&mut self, resource: &Resource) -> i32 {
        self.generation += 1;
        self.config.write(&[file(resource, self.generation, &self.secrets)]);
        self.generation
    }

    /// Writes this text in place of the configuration.
    pub(crate) fn write(&mut self, text: &str) {
        self.config.write(&[("config.json".into(), text.into())]);
    }

    /// Changes both and waits until the gateway runs with them.
    #[track_caller]
    pub(crate) fn change(&mut self, resource: &Resource) {
        self.rotate(resource);
        let generation = self.edit(resource);
        self.wait_for_generation(generation);
    }

    /// Waits until the gateway runs with this generation and nothing is rejected.
    #[track_caller]
    pub(crate) fn wait_for_generation(&self, generation: i32) {
        wait_until(&format!("generation {generation} is in force"), || {
            let status = self.status();
            status["generation"] == generation && status["rejected"].is_null()
        });
        self.wait_for_metric("topicgateway_config_generation", &[], f64::from(generation));
    }

    /// Waits until the gateway says that it has not taken a configuration over; gives the generation and why.
    #[track_caller]
    pub(crate) fn wait_for_rejection(&self, words: &str) -> Value {
        let mut rejected = Value::Null;
        wait_until(&format!("a configuration is rejected because of {words:?}"), || {
            rejected = self.status()["rejected"].take();
            rejected["message"].as_str().is_some_and(|message| message.contains(words))
        });
        self.wait_for_metric("topicgateway_config_rejected", &[], 1.0);
        rejected
    }

    /// What the gateway tells the controller.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.admin("/status").json()
    }
}

fn file(resource: &Resource, generation: i32, secrets: &Volume) -> (String, String) {
    ("config.json".into(), resource.gateway_config(generation.into(), &secrets.folder))
}

impl Volume {
    /// An empty folder.
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        Self { folder: folder.into(), version: 0 }
    }

    /// From now on the folder holds exactly these files.
    fn write(&mut self, files: &[(String, String)]) {
        self.version += 1;
        let (new, old) = (format!("..{}", self.version), format!("..{}", self.version - 1));
        fs::create_dir(self.folder.join(&new)).unwrap();
        for (name, text) in files {
            fs::write(self.folder.join(&new).join(name), text).unwrap();
        }
        symlink(&new, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        for (name, _) in files {
            // There already, from the version before.
            let _ = symlink(format!("..data/{name}"), self.folder.join(name));
        }
        let kept: BTreeSet<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with("..") && !kept.contains(name.as_str()) {
                fs::remove_file(self.folder.join(name)).unwrap();
            }
        }
        if self.version > 1 {
            fs::remove_dir_all(self.folder.join(old)).unwrap();
        }
    }
}

impl Deref for Configured {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

impl DerefMut for Configured {
    fn deref_mut(&mut self) -> &mut Gateway {
        &mut self.gateway
    }
}
