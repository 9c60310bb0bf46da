//! What is wrong with a file, and where.

use std::fmt;

/// One thing that is wrong: `file:line: spec.limits.connections: what is wrong; what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file's name, as it was given.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// The field, as `spec.authentication.jwt[0].issuer`; empty for what concerns the document or file.
    pub field: String,
    /// What is wrong; what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with some files, at least one thing, in the order of the lines of each file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// The findings one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One finding a line.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, finding) in self.0.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// Most findings that are kept of one set of files: more would not be read.
const MAX_FINDINGS: usize = 100;

/// Findings in the making, at most [`MAX_FINDINGS`].
#[derive(Debug, Default)]
pub(in crate::api) struct Report(Vec<Finding>);

impl Report {
    /// Notes one thing that is wrong.
    pub(in crate::api) fn add(&mut self, file: &str, line: usize, field: &str, message: impl Into<String>) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push(Finding { file: file.into(), line, field: field.into(), message: message.into() });
        }
    }

    /// `value` if nothing is wrong.
    pub(in crate::api) fn finish<T>(mut self, value: Option<T>) -> Result<T, Findings> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                // Stable: within a line the order of discovery stays, and files stay as they were given.
                let mut files: Vec<String> = Vec::new();
                for finding in &self.0 {
                    if !files.contains(&finding.file) {
                        files.push(finding.file.clone());
                    }
                }
                self.0.sort_by_key(|f| (files.iter().position(|file| *file == f.file), f.line));
                Err(Findings(self.0))
            }
        }
    }
}
