//! Findings as data: a stable code, a severity, words, and the place.

use std::collections::HashSet;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing is wrong.
    Note,
    /// Odd, or a risk that depends on what is done with the file.
    Warning,
    /// The file is damaged, incomplete or refused by readers.
    Error,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 3] = [Self::Note, Self::Warning, Self::Error];

    /// The name that reports and flags spell.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The severity of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A kind of finding: the row of the registry that `--explain`, `--deny` and the SARIF rules are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Kebab-case; never changes its meaning.
    pub code: &'static str,
    /// The finding in a few words.
    pub title: &'static str,
    /// What it is where a check does not say otherwise.
    pub severity: Severity,
    /// What it means, why it matters and what to do: the user documentation.
    pub explanation: &'static str,
}

/// One thing that was found, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// See [`Code::code`].
    pub code: &'static str,
    /// Severity of this finding.
    pub severity: Severity,
    /// One line for a person; foreign text in it is escaped.
    pub message: String,
    /// The file, relative to the folder asked for, as it is named (not escaped).
    pub file: Option<String>,
    /// The tensor or key, as it stands in the file (not escaped).
    pub tensor: Option<String>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
    /// What to do (already escaped).
    pub help: Option<String>,
}

impl Finding {
    /// A finding of a kind, with the kind's severity. Foreign text in `message` must be escaped.
    pub fn new(code: &Code, message: impl Into<String>) -> Self {
        let (code, severity) = (code.code, code.severity);
        Self { code, severity, message: message.into(), file: None, tensor: None, offset: None, help: None }
    }

    /// Replaces the severity of the kind.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Sets the file, relative to the folder.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>) -> Self {
        self.file = Some(name.into());
        self
    }

    /// Sets the tensor or key.
    #[must_use]
    pub fn tensor(mut self, name: impl Into<String>) -> Self {
        self.tensor = Some(name.into());
        self
    }

    /// Sets the byte offset in the file.
    #[must_use]
    pub fn offset(mut self, offset: Option<u64>) -> Self {
        self.offset = offset;
        self
    }

    /// Sets the advice; foreign text in it must be escaped.
    #[must_use]
    pub fn help(mut self, advice: impl Into<String>) -> Self {
        self.help = Some(advice.into());
        self
    }
}

/// Findings as they are gathered. Many of one kind in one file are told by the first few and a count.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    /// Files that have an error.
    bad: HashSet<String>,
}

/// Findings of one kind listed for one file before the rest is counted.
const LISTED: usize = 3;

impl Findings {
    /// Adds a finding.
    pub(crate) fn push(&mut self, finding: Finding) {
        if let (Severity::Error, Some(file)) = (finding.severity, &finding.file)
            && !self.bad.contains(file)
        {
            self.bad.insert(file.clone());
        }
        self.list.push(finding);
    }

    /// Adds the first few, and the number of the rest as one more.
    pub(crate) fn push_many(&mut self, findings: impl IntoIterator<Item = Finding>) {
        let mut rest = 0u64;
        let mut like: Option<Finding> = None;
        for (i, finding) in findings.into_iter().enumerate() {
            if i < LISTED {
                self.push(finding);
            } else {
                rest += 1;
                like.get_or_insert(finding);
            }
        }
        if let (Some(mut one), true) = (like, rest > 0) {
            if rest > 1 {
                one.message = format!("{} more of this kind in this file", crate::units::grouped(rest));
                (one.tensor, one.offset, one.help) = (None, None, None);
            }
            self.push(one);
        }
    }

    /// Whether a file has an error.
    pub(crate) fn has_error(&self, file: &str) -> bool {
        self.bad.contains(file)
    }

    /// All of them: worst first, then by file and in the order of the checks.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.file.cmp(&b.file)));
        self.list
    }
}
