//! What a caller takes as a failure: codes and severities denied or allowed, and budgets. From flags, or a JSON file.

use std::path::Path;

use serde::Deserialize;

use super::bounds::Bounds;
use super::checks;
use super::finding::{Finding, Severity};
use crate::error::{Error, ErrorKind, Result};
use crate::source::read_small;
use crate::text::{escape, escape_limited};
use crate::units::{parse_bytes, parse_params, parse_tokens};

/// Bytes of the longest policy file that is read.
const MAX_POLICY: u64 = 1 << 20;

/// Which findings fail, which are left out, and which bounds hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Findings at or above it are failures.
    pub threshold: Severity,
    /// Codes that are failures whatever their severity.
    pub deny: Vec<&'static str>,
    /// Codes that are left out; they are counted.
    pub allow: Vec<&'static str>,
    /// Bounds that the checkpoint must keep.
    pub bounds: Bounds,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: Severity::Error, deny: Vec::new(), allow: Vec::new(), bounds: Bounds::default() }
    }
}

/// The policy file. Every field may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    allow: Vec<String>,
    max_size: Option<Quantity>,
    max_params: Option<Quantity>,
    max_ram: Option<Quantity>,
    ctx: Option<Quantity>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Quantity {
    Number(u64),
    Text(String),
}

impl Quantity {
    fn text(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Policy {
    /// Reads a policy file over what is set already.
    ///
    /// # Errors
    /// When it cannot be read, is no such JSON, or names an unknown code.
    pub fn read(&mut self, path: &Path) -> Result<()> {
        let bytes = read_small(path, MAX_POLICY)?;
        let file: PolicyFile = serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(ErrorKind::Usage, format!("no policy: {}", escape_limited(&e.to_string(), 120)))
                .with_path(path)
                .help("a policy is JSON with deny, allow (lists), max_size, max_params, max_ram, ctx")
        })?;
        for code in &file.deny {
            self.deny(code)?;
        }
        for code in &file.allow {
            self.allow(code)?;
        }
        let read = |quantity: &Option<Quantity>, parse: &dyn Fn(&str) -> Result<u64>| {
            quantity.as_ref().map(|q| parse(&q.text())).transpose()
        };
        self.bounds.max_size = read(&file.max_size, &|t| parse_bytes(t).map(|b| b.0))?.or(self.bounds.max_size);
        self.bounds.max_params = read(&file.max_params, &|t| parse_params(t).map(|p| p.0))?.or(self.bounds.max_params);
        self.bounds.max_ram = read(&file.max_ram, &|t| parse_bytes(t).map(|b| b.0))?.or(self.bounds.max_ram);
        self.bounds.ctx = read(&file.ctx, &parse_tokens)?.or(self.bounds.ctx);
        Ok(())
    }

    /// Makes a code a failure, or every finding of a severity and above.
    ///
    /// # Errors
    /// For an unknown code.
    pub fn deny(&mut self, what: &str) -> Result<()> {
        match Severity::parse(what) {
            Some(severity) => self.threshold = self.threshold.min(severity),
            None => self.deny.push(known(what)?),
        }
        Ok(())
    }

    /// Leaves a code out.
    ///
    /// # Errors
    /// For an unknown code.
    pub fn allow(&mut self, code: &str) -> Result<()> {
        self.allow.push(known(code)?);
        Ok(())
    }

    /// Whether a finding is left out.
    pub fn allows(&self, finding: &Finding) -> bool {
        self.allow.contains(&finding.code)
    }

    /// Whether a finding is a failure.
    pub fn denies(&self, finding: &Finding) -> bool {
        finding.severity >= self.threshold || self.deny.contains(&finding.code)
    }
}

fn known(code: &str) -> Result<&'static str> {
    checks::find(code).map(|row| row.code).ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("unknown code `{}`", escape(code)))
            .help("`weigh audit --explain all` lists the codes; severities are error, warning, note")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_files_make_one_policy() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = br#"{"deny": ["warning", "pickle"], "allow": ["licence"], "max_size": "10GiB", "max_params": 7000000000}"#;
        std::io::Write::write_all(&mut file, text).unwrap();
        let mut policy = Policy::default();
        policy.read(file.path()).unwrap();
        assert_eq!((policy.threshold, policy.deny.as_slice()), (Severity::Warning, ["pickle"].as_slice()));
        assert_eq!((policy.bounds.max_size, policy.bounds.max_params), (Some(10 << 30), Some(7_000_000_000)));
        assert!(policy.allow("no-such-code").unwrap_err().to_string().contains("unknown code"));
    }
}
