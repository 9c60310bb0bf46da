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
