//! The files as a test writes them, and as the kubelet does: folders with a date behind a link `..data`.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const HEAD: &str =
    "apiVersion: topicgateway.io/v1alpha1\nkind: GatewayConfig\nname: market\nnamespace: prices\n";

/// A configuration with a token of NATS in the Secret `nats`, key `token`.
fn text(generation: i64, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "{HEAD}generation: {generation}\nsecretsDirectory: {directory}\nspec: {{backbone: {{nats: {{\
         servers: ['nats://n:1'], tokenSecretRef: {{name: nats, key: token}}}}}}}}\n"
    )
}

struct Files(TempDir);

impl Files {
    /// Generation 1, token `one`.
    fn new() -> (Self, Reader) {
        let files = Self(TempDir::new().unwrap());
        files.configure(1);
        files.write("nats_token", "one");
        let reader = Reader::new(files.0.path().join("config.yaml"));
        (files, reader)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn configure(&self, generation: i64) {
        self.write("config.yaml", &text(generation, self.0.path()));
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join(name)).unwrap();
    }
}

fn token(configuration: &Configuration) -> &[u8] {
    let nats = configuration.spec.backbone.nats.as_ref().unwrap();
    configuration.secrets.key(nats.token_secret_ref.as_ref().unwrap()).unwrap()
}

/// Generation and token of what a look has read.
fn seen(look: Option<Result<Configuration, ConfigError>>) -> Option<(i64, String)> {
    let configuration = look?.unwrap();
    Some((configuration.generation, String::from_utf8(token(&configuration).to_vec()).unwrap()))
}

#[test]
fn a_value_is_read_from_the_file_of_its_secret_and_key() {
    let (_files, mut reader) = Files::new();
    let configuration = reader.read().unwrap();
    assert_eq!((configuration.generation, token(&configuration)), (1, &b"one"[..]));
}

#[test]
fn what_does_not_change_is_read_once_more_and_then_left_alone() {
    let (_files, mut reader) = Files::new();
    reader.read().unwrap();
    assert_eq!(seen(reader.look()), Some((1, "one".into())));
    for _ in 0..20 {
        assert!(reader.look().is_none());
    }
}

#[test]
fn a_changed_file_or_value_is_read() {
    let (files, mut reader) = Files::new();
    reader.read().unwrap();
    reader.look();
    files.write("nats_token", "two");
    assert_eq!(seen(reader.look()), Some((1, "two".into())));
    files.configure(2);
    assert_eq!(seen(reader.look()), Some((2, "two".into())));
}

#[test]
fn a_value_that_comes_later_is_read_when_it_is_there() {
    let (files, mut reader) = Files::new();
    files.remove("nats_token");
    let error = reader.read().unwrap_err();
    assert_eq!(error.generation(), Some(1));
    let told = error.to_string();
    assert!(told.starts_with("spec.backbone.nats.tokenSecretRef: cannot read "), "{told}");
    assert!(told.contains("the kubelet brings Secret \"nats\" to the pod within about 90 s"), "{told}");
    reader.look();
    assert!(reader.look().is_none());
    files.write("nats_token", "late");
    assert_eq!(seen(reader.look()), Some((1, "late".into())));
}

#[test]
fn what_could_not_be_read_is_tried_again_though_nothing_changes() {
    let (files, mut reader) = Files::new();
    files.remove("nats_token");
    reader.read().unwrap_err();
    let tries = (0..20).filter(|_| reader.look().is_some()).count();
    assert!((3..=6).contains(&tries), "{tries} tries in 20 looks");
}

#[test]
fn a_wrong_configuration_tells_its_generation_if_it_can() {
    let (files, mut reader) = Files::new();
    files.write("config.yaml", &text(7, files.0.path()).replace("spec:", "spek:"));
    let error = reader.read().unwrap_err();
    assert_eq!(error.generation(), Some(7));
    assert!(error.to_string().contains("did you mean spec?"), "{error}");
    files.write("config.yaml", "[");
    assert_eq!(reader.read().unwrap_err().generation(), None);
    files.remove("config.yaml");
    let error = reader.read().unwrap_err();
    assert!(matches!(&error, ConfigError::File(..)) && error.generation().is_none(), "{error}");
}

#[test]
fn a_value_that_is_too_large_is_not_read() {
    let (files, mut reader) = Files::new();
    files.write("nats_token", &"x".repeat(1024 * 1024 + 1));
    let error = reader.read().unwrap_err().to_string();
    assert!(error.contains("larger than 1 MiB"), "{error}");
}

#[test]
fn the_swap_of_a_volume_is_seen() {
    let home = TempDir::new().unwrap();
    let at = |name: &str| home.path().join(name);
    let version = |name: &str, generation: i64, token: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("config.yaml"), text(generation, home.path())).unwrap();
        fs::write(at(name).join("nats_token"), token).unwrap();
    };
    version("..1", 1, "one");
    symlink("..1", at("..data")).unwrap();
    symlink("..data/config.yaml", at("config.yaml")).unwrap();
    symlink("..data/nats_token", at("nats_token")).unwrap();
    let mut reader = Reader::new(at("config.yaml"));
    reader.read().unwrap();
    reader.look();
    assert!(reader.look().is_none());
    version("..2", 2, "two");
    assert!(reader.look().is_none(), "nothing has been swapped yet");
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..1")).unwrap();
    assert_eq!(seen(reader.look()), Some((2, "two".into())));
}

impl Files {
    /// Names the folder of session keys, which is this one.
    fn with_session_key(&self, key: &str) {
        let directory = format!("sessionKeyDirectory: {}\nspec:", self.0.path().display());
        self.write("config.yaml", &text(1, self.0.path()).replace("spec:", &directory));
        self.write("key", key);
    }
}

fn session_keys(newest: &str, previous: Option<&str>) -> SessionKeys {
    SessionKeys::new(newest.into(), previous.map(Into::into)).unwrap()
}

const ONE: &str = "0123456789abcdef";
const TWO: &str = "fedcba9876543210";

#[test]
fn session_keys_are_read_and_followed_as_they_rotate() {
    let (files, mut reader) = Files::new();
    files.with_session_key(ONE);
    let first = reader.read().unwrap();
    assert_eq!(first.session_keys, session_keys(ONE, None));
    reader.look();
    assert!(reader.look().is_none());
    files.write("previous", TWO);
    let second = reader.look().unwrap().unwrap();
    assert_eq!(second.session_keys, session_keys(ONE, Some(TWO)));
    assert!(!second.asks_for_the_same(&first));
    files.remove("previous");
    files.write("key", TWO);
    assert_eq!(reader.look().unwrap().unwrap().session_keys, session_keys(TWO, None));
}

#[test]
fn a_session_key_that_is_missing_or_short_is_told_with_its_place() {
    let (files, mut reader) = Files::new();
    files.with_session_key("short");
    let error = reader.read().unwrap_err();
    assert_eq!(error.generation(), Some(1));
    let told = error.to_string();
    assert!(
        told.starts_with("sessionKeyDirectory: cannot use ") && told.contains("it has 5 bytes"),
        "{told}"
    );
    assert!(!told.contains("short"), "{told}");
    files.remove("key");
    let told = reader.read().unwrap_err().to_string();
    assert!(
        told.contains("/key: No such file") && told.contains("mount a Secret with 32 random bytes"),
        "{told}"
    );
}

#[test]
fn sessions_of_topics_in_memory_end_with_the_process() {
    let (files, mut reader) = Files::new();
    files.with_session_key(ONE);
    let path = files.0.path().join("config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{}spec: {{backbone: {{memory: {{}}}}}}\n", text.split("spec:").next().unwrap()))
        .unwrap();
    assert_ne!(reader.read().unwrap().session_keys, session_keys(ONE, None));
}

#[test]
fn without_a_folder_the_session_key_is_one_of_this_process_and_stays() {
    let (_files, mut reader) = Files::new();
    let (first, second) = (reader.read().unwrap(), reader.read().unwrap());
    assert!(first.asks_for_the_same(&second));
    let (_files, mut other) = Files::new();
    assert_ne!(other.read().unwrap().session_keys, first.session_keys);
}
