//! The body of `weigh audit`, with the field names of the JSON.

use serde::Serialize;

use crate::audit::{Audit, Coverage, Finding, Severity};

/// Findings per severity.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Errors.
    pub error: u64,
    /// Warnings.
    pub warning: u64,
    /// Notes.
    pub note: u64,
    /// Findings that the policy leaves out.
    pub allowed: u64,
}

/// The fields of the document of `weigh audit`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AuditBody<'a> {
    /// Worst first.
    pub findings: &'a [Finding],
    /// What was looked at.
    pub coverage: &'a Coverage,
    /// Number of findings of each severity.
    pub counts: Counts,
    /// Whether the policy is met.
    pub passed: bool,
    /// What a reader should know of the checkpoint, above all what was taken for it; escaped.
    pub notes: &'a [String],
}

impl<'a> AuditBody<'a> {
    /// Gathers the fields from an audit.
    pub fn of(audit: &'a Audit) -> Self {
        Self {
            findings: &audit.findings,
            coverage: &audit.coverage,
            counts: Counts {
                error: audit.count(Severity::Error),
                warning: audit.count(Severity::Warning),
                note: audit.count(Severity::Note),
                allowed: audit.allowed,
            },
            passed: audit.is_passed(),
            notes: &audit.notes,
        }
    }
}
