//! Reads resource files, as `check` and `dev` do.

use std::io::Read;

use super::Failure;
use crate::api::{Findings, Manifests};

/// Most bytes read of one file; the parser refuses a little less than this with a better message.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The one resource and its Secrets in these files taken together; `-` is standard input.
pub(super) fn load(files: &[String]) -> Result<Manifests, Failure> {
    Ok(Manifests::parse(&texts(files)?)?)
}

/// The same for a cluster, which may have Secrets that the files do not have.
pub(super) fn load_for_a_cluster(files: &[String]) -> Result<Manifests, Failure> {
    Ok(Manifests::parse_for_a_cluster(&texts(files)?)?)
}

fn texts(files: &[String]) -> Result<Vec<(String, String)>, Failure> {
    files.iter().map(|file| read(file)).collect()
}

/// How messages call a file.
pub(super) fn name(file: &str) -> &str {
    if file == "-" { "standard input" } else { file }
}

/// Name and text of one file.
fn read(file: &str) -> Result<(String, String), Failure> {
    let mut bytes = Vec::new();
    let name = name(file);
    let outcome = if file == "-" {
        std::io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(MAX_BYTES).read_to_end(&mut bytes))
    };
    outcome.map_err(|error| Failure::usage(format!("cannot read {name}: {error}; check the path")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{name} is not UTF-8 text; save it as UTF-8")))?;
    Ok((name.into(), text))
}

/// All findings, one a line.
impl From<Findings> for Failure {
    fn from(findings: Findings) -> Self {
        Self::usage(findings.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn failure(path: &str) -> Failure {
        load(&[path.to_string()]).unwrap_err()
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure = failure("/no/such.yaml");
        assert_eq!(failure.code, 64);
        assert!(failure.message.starts_with("cannot read /no/such.yaml: "), "{failure}");
    }

    #[test]
    fn a_file_that_is_no_text_is_named() {
        let file = file(b"\xff\xfe");
        let path = file.path().to_str().unwrap();
        assert_eq!(failure(path).message, format!("{path} is not UTF-8 text; save it as UTF-8"));
    }

    #[test]
    fn a_huge_file_is_not_read_to_its_end() {
        assert!(failure("/dev/zero").message.contains("keep it below"));
    }

    #[test]
    fn findings_name_the_file() {
        let file = file(b"a: 1\n");
        let path = file.path().to_str().unwrap();
        assert!(failure(path).message.starts_with(&format!("{path}:1: is no Kubernetes object")));
    }
}
