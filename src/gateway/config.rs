//! The configuration a pod runs with: read from its file and the Secrets beside it, and read again when they change.

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::sessions::SessionKeys;
use crate::api::{Findings, GatewayConfig, SESSION_KEYS, SecretReference, Secrets, TopicGatewaySpec};

/// Most bytes of the file; the parser refuses a little less than this with a better message.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Most bytes of one file with a Secret's value; Kubernetes allows a Secret 1 MiB in all.
const MAX_SECRET_BYTES: u64 = 1024 * 1024;
/// Files that change while they are read are read again, at most so often in a row.
const ATTEMPTS: usize = 3;
/// Looks between two attempts at a configuration that could not be read.
const PATIENCE: u32 = 5;

/// What a gateway is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// `metadata.generation` of the resource.
    pub generation: i64,
    /// What it asks for.
    pub spec: TopicGatewaySpec,
    /// The Secrets it refers to.
    pub secrets: Secrets,
    /// What session tokens are authenticated with.
    pub session_keys: SessionKeys,
}

/// Why a configuration cannot be had; names the file or field and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or cannot be read.
    #[error("cannot read {0}: {1}; check the path")]
    File(String, io::Error),
    /// It says something wrong.
    #[error("{findings}")]
    Invalid {
        /// Its generation, where it tells that much.
        generation: Option<i64>,
        /// What is wrong.
        findings: Findings,
    },
    /// A value it refers to is not there.
    #[error(
        "{field}: cannot read {path}: {error}; the kubelet brings Secret {secret:?} to the pod within about 90 s, elsewhere put it there"
    )]
    Secret {
        /// Its generation.
        generation: i64,
        /// The field that refers to the value.
        field: String,
        /// Where the value is looked for.
        path: String,
        /// Why it cannot be read.
        error: io::Error,
        /// Name of the Secret.
        secret: String,
    },
    /// The session key is not there or unfit.
    #[error("sessionKeyDirectory: cannot use {path}: {error}; mount a Secret with 32 random bytes there")]
    SessionKey {
        /// Its generation.
        generation: i64,
        /// Where the key is looked for.
        path: String,
        /// What is wrong with it.
        error: io::Error,
    },
}

/// Reads a configuration, and tells cheaply whether it may have changed since.
#[derive(Debug)]
pub struct Reader {
    /// The configuration's file, then the files of the values that it refers to.
    paths: Vec<PathBuf>,
    /// The files as they were when they were last read; `None`: they changed meanwhile.
    seen: Option<Vec<Stamp>>,
    /// Looks since then, as far as they are counted.
    looks: u32,
    failed: bool,
    /// Where there are no files of session keys: the same at every reading.
    own_keys: SessionKeys,
}

/// What tells one content of a file from another without reading it; `None` where there is no file. Symbolic links are
/// followed, so that the swap of a volume's `..data` is seen.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

impl Configuration {
    /// Whether a gateway with the other one is the same, whatever their generations.
    pub fn asks_for_the_same(&self, other: &Self) -> bool {
        self.spec == other.spec && self.secrets == other.secrets && self.session_keys == other.session_keys
    }
}

impl ConfigError {
    /// The generation of the configuration, where that can be read.
    pub fn generation(&self) -> Option<i64> {
        match self {
            Self::File(..) => None,
            Self::Invalid { generation, .. } => *generation,
            Self::Secret { generation, .. } | Self::SessionKey { generation, .. } => Some(*generation),
        }
    }
}

impl Reader {
    /// A reader of this file.
    pub fn new(file: PathBuf) -> Self {
        Self { paths: vec![file], seen: None, looks: 0, failed: false, own_keys: SessionKeys::random() }
    }

    /// Reads the configuration. Blocks.
    pub fn read(&mut self) -> Result<Configuration, ConfigError> {
        let mut attempt = 1;
        loop {
            let before = stamps(&self.paths);
            let result = load(&self.paths[0]).and_then(|config| {
                self.paths.truncate(1);
                self.paths.extend(references(&config).map(|(_, path)| path));
                self.paths.extend(session_key_files(&config).into_iter().flatten());
                let secrets = secrets(&config)?;
                let session_keys = session_keys(&config)?.unwrap_or_else(|| self.own_keys.clone());
                Ok(Configuration { generation: config.generation, spec: config.spec, secrets, session_keys })
            });
            let whole = stamps(&self.paths) == before;
            if whole || attempt == ATTEMPTS {
                self.seen = whole.then_some(before);
                (self.looks, self.failed) = (0, result.is_err());
                return result;
            }
            attempt += 1;
        }
    }

    /// Reads the configuration if it may have changed since it was last read; to be called about once a second.
    /// Costs a `stat` per file where nothing did. Blocks.
    ///
    /// What looks unchanged is read once more at the next look: a file's time is no finer than a few milliseconds, so
    /// that a change right behind the last reading may not show. What could not be read is tried again every few
    /// looks.
    pub fn look(&mut self) -> Option<Result<Configuration, ConfigError>> {
        if self.seen.as_ref() != Some(&stamps(&self.paths)) {
            return Some(self.read());
        }
        self.looks = self.looks.saturating_add(1);
        if self.looks != 1 && !(self.failed && self.looks >= PATIENCE) {
            return None;
        }
        let read = self.read();
        self.looks = 1;
        Some(read)
    }
}

fn load(file: &Path) -> Result<GatewayConfig, ConfigError> {
    let name = file.display().to_string();
    match read(file, MAX_BYTES).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other)) {
        Ok(text) => GatewayConfig::parse(&name, &text)
            .map_err(|findings| ConfigError::Invalid { generation: generation(&text), findings }),
        Err(error) => Err(ConfigError::File(name, error)),
    }
}

/// The generation of a configuration whatever else is wrong with it.
fn generation(text: &str) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct Head {
        generation: i64,
    }
    serde_saphyr::from_str::<Head>(text).ok().map(|head| head.generation)
}

/// Each value that the spec refers to, and its file.
fn references(config: &GatewayConfig) -> impl Iterator<Item = (SecretReference, PathBuf)> {
    config.spec.secret_references().into_iter().map(|reference| {
        let path = config.secrets_directory.join(reference.key.file_name());
        (reference, path)
    })
}

/// Reads the values that the spec refers to, and no others.
fn secrets(config: &GatewayConfig) -> Result<Secrets, ConfigError> {
    let mut secrets = Secrets::default();
    for (SecretReference { field, key }, path) in references(config) {
        match read(&path, MAX_SECRET_BYTES) {
            Ok(value) => secrets.insert(&key.name, &key.key, value),
            Err(error) => {
                let (generation, path) = (config.generation, path.display().to_string());
                return Err(ConfigError::Secret { generation, field, path, error, secret: key.name });
            }
        }
    }
    Ok(secrets)
}

/// Where the session keys are; `None` where the gateway makes one of its own. So it does where topics are in memory:
/// their numbers begin anew with the process, and no position of an earlier one means anything.
fn session_key_files(config: &GatewayConfig) -> Option<[PathBuf; 2]> {
    if config.spec.backbone.memory.is_some() {
        return None;
    }
    let directory = config.session_key_directory.as_ref()?;
    Some(SESSION_KEYS.map(|name| directory.join(name)))
}

/// The session keys, as far as they are in files. Only the newest must be there.
fn session_keys(config: &GatewayConfig) -> Result<Option<SessionKeys>, ConfigError> {
    let Some([newest, previous]) = session_key_files(config) else { return Ok(None) };
    let unfit = |path: &Path, error| ConfigError::SessionKey {
        generation: config.generation,
        path: path.display().to_string(),
        error,
    };
    let key = read(&newest, MAX_SECRET_BYTES).map_err(|error| unfit(&newest, error))?;
    let before = match read(&previous, MAX_SECRET_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        before => Some(before.map_err(|error| unfit(&previous, error))?),
    };
    let keys = SessionKeys::new(key, before);
    keys.map(Some).map_err(|error| unfit(newest.parent().unwrap_or(&newest), io::Error::other(error)))
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > most {
        return Err(io::Error::other(format!("it is larger than {} MiB", most / (1024 * 1024))));
    }
    fs::read(path)
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec(), found.size()))
    };
    paths.iter().map(stamp).collect()
}
